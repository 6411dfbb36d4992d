"""What one cell of the registry file may say. Each parser takes stripped, non-empty text and raises `ValueError` with a sentence.

Numbers are plain decimal digits: "1e3", "1,000" and full-width digits are what spreadsheets make of numbers when nobody looks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from zoneinfo import ZoneInfo

from collector.settings.spelling import did_you_mean
from protocols.catalogue import Kind, Quantity, describe
from protocols.errors import ObisError
from protocols.obis import Obis
from storage.days import day_start
from storage.errors import ValueRefused
from storage.registry import Ratio
from storage.values import to_millionths

_NUMBER = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_RATIO = re.compile(r"([0-9]{1,7})(?:/([0-9]{1,7}))?")
_BASIC_AND_MAXIMUM = re.compile(r"[0-9.]+\(([0-9.]+)\)")

ROLES = ("sale", "generation", "export", "area_total", "check")
CLASSES = ("household", "business", "farm", "industry", "street_light", "public")
WIRINGS = ("1p", "3p3w", "3p4w")
NAME_LENGTH = 64
"""Of ids and names; what a column of any billing system takes."""


def name(text: str) -> str:
    """An id or a name: printable, at most 64 characters."""
    if len(text) > NAME_LENGTH:
        raise ValueError(f"has {len(text)} characters; at most {NAME_LENGTH} are kept")
    if not text.isprintable():
        raise ValueError(f"{text!r} holds characters that cannot be printed")
    return text


def one_of(allowed: Iterable[str], what: str = "") -> Callable[[str], str]:
    """A parser for a closed list."""
    known = tuple(allowed)

    def parse(text: str) -> str:
        if text in known:
            return text
        listed = f"; allowed: {', '.join(known)}" if len(known) <= 12 else ""
        raise ValueError(f'"{text}" is no {what or "word that is known here"}{did_you_mean(text, known)}{listed}')

    return parse


def positive(text: str) -> int:
    """A number above zero, in millionths."""
    if rated := _BASIC_AND_MAXIMUM.fullmatch(text):
        raise ValueError(f'"{text}": write the maximum alone, {rated[1]}')
    if (value := _millionths(text)) <= 0:
        raise ValueError(f"{text} must be above zero")
    return value


def not_negative(text: str) -> int:
    """A number, zero or above, in millionths."""
    if (value := _millionths(text)) < 0:
        raise ValueError(f"{text} must not be below zero")
    return value


def digits(text: str) -> int:
    """Digits left of the point."""
    if text.isascii() and text.isdecimal() and 1 <= int(text[:4]) <= 12:
        return int(text)
    raise ValueError(f'"{text}" is no count of digits left of the point; it is a whole number from 1 to 12')


def ratio(text: str) -> Ratio:
    """`100/5` as on the plate, or `20`."""
    match = _RATIO.fullmatch(text.replace(" ", ""))
    if match is None or not int(match[1]) or (match[2] is not None and not int(match[2])):
        raise ValueError(f'"{text}" is no ratio; write it as 100/5 or 20')
    return Ratio(int(match[1]), int(match[2] or 1))


def installed(zone: ZoneInfo) -> Callable[[str], datetime]:
    """A parser for dates: the instant at which that day begins in the utility's zone, in UTC."""

    def parse(text: str) -> datetime:
        try:
            day = date.fromisoformat(text) if _DATE.fullmatch(text) else None
        except ValueError:
            day = None
        if day is None:
            raise ValueError(f'"{text}" is no date; write it as 2024-03-15')
        return day_start(day, zone)

    return parse


def start_readings(text: str) -> Mapping[str, int]:
    """`1-0:1.8.0=12.5;1-0:2.8.0=0`: registers and what they showed, in millionths."""
    found: dict[str, int] = {}
    for entry in filter(None, (part.strip() for part in text.split(";"))):
        code, separator, shown = (part.strip() for part in entry.partition("="))
        if not separator:
            raise ValueError(f'"{entry}" is no start reading; write it as 1-0:1.8.0=12.5;1-0:2.8.0=0')
        quantity = _register(code)
        if code in found:
            raise ValueError(f"{code} stands twice")
        found[code] = not_negative(shown) if quantity.kind is Kind.REGISTER else _millionths(shown)
    return found


@cache
def _register(code: str) -> Quantity:
    try:
        quantity = describe(Obis.parse(code))
    except ObisError as error:
        raise ValueError(str(error)) from None
    if quantity.kind not in (Kind.REGISTER, Kind.SIGNED_REGISTER):
        raise ValueError(f"{code} is no register; only registers have a start reading")
    return quantity


def _millionths(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise ValueError(f'"{text}" is no number; write it as 12.5')
    try:
        return to_millionths(Decimal(text))
    except ValueRefused:
        raise ValueError(
            f"{text} cannot be held exactly: at most six decimals, and below nine million million"
        ) from None
