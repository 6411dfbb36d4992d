"""The clock of a DL/T 645-2007 meter: read in two questions, set by password, or told by broadcast.

    11 04000101    date and day of the week             14 04000101 / 04000102 PA P0P1P2 C0..C3 …   set, by password
    11 04000102    time of day                          08 to 999999999999 ss mm hh DD MM YY        broadcast, no answer

Sources: identifiers and the write's layout (identifier, password, operator, data): the PyPI package dlt645 3.2.0, whose meter
takes it so; the broadcast's order, low byte first like all other data: icprog/dlt698.45, sendBroadCastTime07. (That package's
own meter reads a broadcast the other way round, year first.) That a meter takes a broadcast once a day, within five minutes
and not around midnight, no source at hand confirms.
"""

from __future__ import annotations

import re
from datetime import datetime

from protocols.clockwork import Key
from protocols.dialect import Exchange
from protocols.dlt645 import pictures
from protocols.dlt645.address import BROADCAST, full_address
from protocols.dlt645.controls import BROADCAST_TIME, IDENTIFIER_LENGTH, READ, WRITE
from protocols.dlt645.frame import Frame, Framer
from protocols.errors import RequestError
from protocols.telegram import Request

DATE, TIME = "04000101", "04000102"
WRONG_PASSWORD = 0x04
"""Bit 2 of the error word: wrong password, or no authority."""
_DATE, _TIME = pictures.parse("YYMMDDWW"), pictures.parse("hhmmss")
_PASSWORD = re.compile(r"[0-9]{8}", re.ASCII)
_OPERATOR = re.compile(r"[0-9A-F]{8}", re.ASCII)
_PASSWORD_LENGTH = 4
_PASSWORD_AT = 10 + IDENTIFIER_LENGTH
"""From the first 68 on."""
_PASSWORD_END = IDENTIFIER_LENGTH + _PASSWORD_LENGTH
"""In the data."""


class Dlt645Clock:
    """`protocols.clockwork.Timekeeper`; stateless."""

    step_us = 1_000_000
    broadcast_reach_us = 300_000_000

    def ask_date(self, address: str) -> Request:
        """04000101."""
        return Request(full_address(address), READ, DATE, ids=(DATE,))

    def ask_time(self, address: str) -> Request:
        """04000102."""
        return Request(full_address(address), READ, TIME, ids=(TIME,))

    def shown(self, date: Exchange | None, time: Exchange) -> datetime | None:
        """The day of the week is not believed."""
        day = None if date is None else pictures.stamp(_DATE.parts[0].text, _payload(date))
        hour = pictures.stamp(_TIME.parts[0].text, _payload(time))
        return None if day is None or hour is None else datetime.combine(day.date(), hour.time())

    def set_to(self, address: str, stamp: datetime, key: Key, *, date: bool) -> tuple[Request, ...]:
        """The date first: a clock that is set to the right time on the wrong day is wrong by less than one left between."""
        asked = full_address(address)
        if asked == BROADCAST or not asked.isdecimal():
            raise RequestError(f"{address!r} may be many meters; a clock is set at one meter's own address")
        if not _PASSWORD.fullmatch(key.password):
            raise RequestError("a DL/T 645 password is eight digits, PA P0 P1 P2 as they go on the wire: 02123456")
        if not _OPERATOR.fullmatch(operator := key.operator or "0" * 8):
            raise RequestError(f"{key.operator!r} is no operator code: eight hexadecimal digits")
        before = bytes.fromhex(key.password) + bytes.fromhex(operator)[::-1]
        writes = [Request(asked, WRITE, TIME, ids=(TIME,), data=before + _bcd(stamp, "%S%M%H"))]
        if date:
            day = bytes([stamp.isoweekday() % 7]) + _bcd(stamp, "%d%m%y")
            writes.insert(0, Request(asked, WRITE, DATE, ids=(DATE,), data=before + day))
        return tuple(writes)

    def broadcast(self, stamp: datetime) -> Request:
        """Function 08 to 999999999999."""
        return Request(BROADCAST, BROADCAST_TIME, "", data=_bcd(stamp, "%S%M%H%d%m%y"))

    def wrong_key(self, received: bytes) -> bool:
        """Bit 2 in the error word of a D4 answer."""
        return any(
            frame.is_error and frame.function == WRITE and frame.data[:1] and bool(frame.data[0] & WRONG_PASSWORD)
            for frame in _frames(received)
        )

    def on_the_wire(self, key: Key) -> bytes:
        """Each byte with 33H added."""
        return bytes((byte + 0x33) % 256 for byte in bytes.fromhex(key.password))

    def without_key(self, data: bytes) -> bytes:
        """The password of every write becomes zeros on the wire, and so does the sum: it would tell of it."""
        blotted = bytearray(data)
        for frame in _frames(data):
            if frame.function == WRITE and not frame.is_answer and len(frame.data) >= _PASSWORD_END:
                at = data.find(frame.raw)
                while at >= 0:
                    blotted[at + _PASSWORD_AT : at + _PASSWORD_AT + _PASSWORD_LENGTH] = bytes(_PASSWORD_LENGTH)
                    blotted[at + len(frame.raw) - 2] = 0
                    at = data.find(frame.raw, at + 1)
        return bytes(blotted)


def _payload(exchange: Exchange) -> bytes:
    """The data of one answer; b"" while the meter still owes some."""
    if not exchange.telegrams or exchange.telegrams[-1].more:
        return b""
    return b"".join(part.payload for part in exchange.telegrams)


def _bcd(stamp: datetime, layout: str) -> bytes:
    """Fields in the order in which they stand on the wire, two digits each."""
    return bytes.fromhex(stamp.strftime(layout))


def _frames(data: bytes) -> list[Frame]:
    framer, found = Framer(), list[Frame]()
    framer.receive(data)
    framer.idle()
    while (event := framer.next()) is not None:
        if isinstance(event, Frame):
            found.append(event)
    return found


DLT645_CLOCK = Dlt645Clock()
