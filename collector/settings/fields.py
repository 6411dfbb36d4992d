"""The kinds of values that configuration knows, each with one sentence for what is wrong with another.

Validators here run before pydantic's own and raise `ValueError`, which becomes one line with file, line and key.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import BeforeValidator, ValidationInfo

from collector.settings.durations import parse_duration, parse_offset, show_duration
from collector.settings.link_url import LinkUrl, parse_link
from collector.settings.spelling import did_you_mean
from protocols.catalogue import describe
from protocols.errors import ObisError
from protocols.obis import Obis
from storage.records import WORDS

_CLOCK_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
_NAME = re.compile(r"[^\s/\\\"'](?:[^/\\\"'\n]{0,62}[^\s/\\\"'])?")


def text(value: object, example: str) -> str:
    """The value, if it is text. :raises ValueError: showing how it is written."""
    if isinstance(value, str):
        return value
    raise ValueError(f'is {show(value)}, but must be text in quotes, as in "{example}"')


def show(value: object) -> str:
    """A TOML value as it would be written, kept short."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            return f'"{value}"' if len(value) <= 60 else f'"{value[:60]}…"'
        case dict():
            return "a table"
        case list() | tuple():
            return "a list"
        case _:
            return str(value)


def _name(value: object) -> str:
    name = text(value, "village-1")
    if not _NAME.fullmatch(name) or not name.isprintable():
        raise ValueError(f"{show(name)} is no name: 1 to 64 characters, without quotes, slashes or spaces at its ends")
    return name


def _zone(value: object) -> str:
    name = text(value, "Asia/Shanghai")
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        near = did_you_mean(name, available_timezones())
        raise ValueError(f"{show(name)} is no time zone{near}; names are as in Asia/Shanghai") from None
    return name


def _path(value: object, info: ValidationInfo) -> Path:
    """Relative paths count from the folder of the configuration file."""
    written = text(value, "meters.csv")
    if not written.strip() or "\0" in written:
        raise ValueError(f"{show(written)} is no path")
    return folder_of(info) / Path(written).expanduser()


def folder_of(info: ValidationInfo) -> Path:
    """Where the configuration file lies."""
    context = info.context or {}
    folder: Path = context.get("folder", Path())
    return folder


def _obis_or_word(value: object) -> str:
    written = text(value, "1-0:1.8.0")
    if written in WORDS:
        return written
    try:
        return str(describe(Obis.parse(written)).code)
    except ObisError as error:
        allowed = ", ".join(f'"{word}"' for word in WORDS)
        raise ValueError(f"{error}{did_you_mean(written, WORDS)} (or one of {allowed})") from None


def clock_time(value: object) -> int:
    """ "00:05" → 5, minutes after local midnight."""
    written = text(value, "00:05")
    match = _CLOCK_TIME.fullmatch(written)
    if match is None:
        raise ValueError(f'{show(written)} is no time of day; write hours and minutes, as in "00:05"')
    return 60 * int(match[1]) + int(match[2])


def _percent(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError(f"is {show(value)}, but must be a number of percent, as in 99.5")  # noqa: TRY004 - pydantic turns ValueError into a finding
    percent = Decimal(str(value))  # the shortest decimal that means this float: what was written
    if not percent.is_finite() or not 0 <= percent <= 100:
        raise ValueError(f"is {percent}, but must lie between 0 and 100")
    return percent


def span(shortest: str, longest: str) -> Callable[[object], timedelta]:
    """A validator for durations from–to, both included, written as durations are."""
    low, high = parse_duration(shortest), parse_duration(longest)

    def check(value: object) -> timedelta:
        found = parse_duration(text(value, shortest))
        if not low <= found <= high:
            raise ValueError(f"{show_duration(found)} is out of range; it may be {shortest} to {longest}")
        return found

    return check


def _offset(value: object) -> timedelta:
    found = parse_offset(text(value, "+3d"))
    if found > timedelta(days=60):
        raise ValueError(f"+{show_duration(found)} is out of range; it may be up to +60d")
    return found


def _link(value: object) -> LinkUrl:
    return parse_link(text(value, "tcp://127.0.0.1:8021"))


def byte_text(value: object) -> bytes:
    """Text as UTF-8, or `hex:68 32 …`; what devices say of themselves."""
    written = text(value, "hex:68 32 00 16")
    if not written.startswith("hex:"):
        data = written.encode()
    else:
        try:
            data = bytes.fromhex(written.removeprefix("hex:"))
        except ValueError:
            raise ValueError(f'{show(written)}: after "hex:" come pairs of hexadecimal digits') from None
    if not 1 <= len(data) <= 256:
        raise ValueError(f"{len(data)} bytes; it may be 1 to 256")
    return data


def _topic(value: object) -> str:
    """An MQTT topic filter (MQTT 3.1.1 §4.7): `+` stands for one whole level, `#` for all that follow."""
    topic = text(value, "meters/+/reading")
    levels = topic.split("/")
    wild = [level for level in levels if level not in ("+", "#") and ("+" in level or "#" in level)]
    if not topic or "\0" in topic or len(topic.encode()) > 65_535 or wild or "#" in levels[:-1]:
        raise ValueError(
            f"{show(topic)} is no topic filter; + stands for one whole level, # only at the end for the rest"
        )
    return topic


def _sender_topic(value: object) -> str:
    """A topic that we publish to, with the sender's name as one whole level."""
    topic = text(value, "meters/{sender}/ack")
    levels = topic.split("/")
    others = "".join(level for level in levels if level != "{sender}")
    if levels.count("{sender}") != 1 or set(others) & set("+#{}\0") or len(topic.encode()) > 1_000:
        raise ValueError(f'{show(topic)} is no topic with one level {{sender}}, as in "meters/{{sender}}/ack"')
    return topic


def _plain_topic(value: object) -> str:
    topic = text(value, "meters/chaobiao/reading")
    if not topic or set(topic) & set("+#{}\0") or len(topic.encode()) > 1_000:
        raise ValueError(f'{show(topic)} is no topic that one can publish to, as in "meters/chaobiao/reading"')
    return topic


Name = Annotated[str, BeforeValidator(_name)]
Zone = Annotated[str, BeforeValidator(_zone)]
FilePath = Annotated[Path, BeforeValidator(_path)]
ToRead = Annotated[str, BeforeValidator(_obis_or_word)]
MinuteOfDay = Annotated[int, BeforeValidator(clock_time)]
Percent = Annotated[Decimal, BeforeValidator(_percent)]
Offset = Annotated[timedelta, BeforeValidator(_offset)]
Link = Annotated[LinkUrl, BeforeValidator(_link)]
Bytes = Annotated[bytes, BeforeValidator(byte_text)]
Topic = Annotated[str, BeforeValidator(_topic)]
PlainTopic = Annotated[str, BeforeValidator(_plain_topic)]
SenderTopic = Annotated[str, BeforeValidator(_sender_topic)]
