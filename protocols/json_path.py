"""Dotted paths into a JSON message: `data.0.energy`, `values."1-0:1.8.0"`. A key with a dot in it stands in quotes; a whole
number is an index where the message has an array there, and a key where it has an object.
"""

from __future__ import annotations

import re
from functools import cache

from protocols.errors import ProfileError

_STEP = re.compile(r'([^."\s]+)|"([^"]+)"')
MISSING = object()
"""What `follow` gives where the message ends before the path does; not null, which a message may say."""


@cache
def parse_path(text: str) -> tuple[str, ...]:
    """The steps of a path. :raises ProfileError: for what is none."""
    steps, place = [], 0
    while match := _STEP.match(text, place):
        steps.append(match.group(1) or match.group(2))
        place = match.end()
        if place == len(text):
            return tuple(steps)
        if text[place] != ".":
            break
        place += 1
    raise ProfileError(f'{text!r} is no dotted path; write it as data.0.energy or values."1-0:1.8.0"')


def join(path: str, key: str) -> str:
    """The path of a key below a path."""
    return f'{path}."{key}"' if "." in key else f"{path}.{key}"


def follow(message: object, path: str) -> object:
    """What stands at a path, or `MISSING`."""
    here = message
    for step in parse_path(path):
        if isinstance(here, dict) and step in here:
            here = here[step]
        elif isinstance(here, list) and step.isdecimal() and step.isascii() and int(step) < len(here):
            here = here[int(step)]
        else:
            return MISSING
    return here
