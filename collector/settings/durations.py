"""Durations as people write them: "400ms", "2s", "15m", "1h", "1d"; "+3d" where an instant is meant that long after another.

One number and one unit: "1h30m" is written "90m". Whole numbers only, so that nothing is ever rounded.
"""

from __future__ import annotations

import re
from datetime import timedelta

_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
_SPELLING = re.compile(r"(\d{1,9})(ms|s|m|h|d)")
_EXAMPLES = '"400ms", "2s", "15m", "1h" or "1d"'


def parse_duration(text: str) -> timedelta:
    """`"400ms"` → 0.4 s. :raises ValueError: saying how a duration is written."""
    match = _SPELLING.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no duration; write it as {_EXAMPLES}")
    return int(match[1]) * _UNITS[match[2]]


def parse_offset(text: str) -> timedelta:
    """`"+3d"` → three days later. :raises ValueError: as `parse_duration`."""
    if not text.startswith("+"):
        raise ValueError(f'{text!r} is no offset; write it with a plus, as in "+3d"')
    return parse_duration(text[1:])


def show_duration(span: timedelta) -> str:
    """The shortest spelling that says exactly this: 90 s is "90s", 120 s is "2m"."""
    for unit in ("d", "h", "m", "s", "ms"):
        if span % _UNITS[unit] == timedelta(0):
            return f"{span // _UNITS[unit]}{unit}"
    raise ValueError(f"{span} is finer than a millisecond")
