"""What the commands that speak to a device with no configuration are told: where it is, what it speaks, how long to wait."""

from __future__ import annotations

from datetime import timedelta

from collector.errors import UsageError
from collector.settings.durations import parse_duration, show_duration
from collector.settings.link_url import parse_link
from collector.settings.protocol_names import WAYS
from collector.settings.spelling import did_you_mean
from collector.words import say
from protocols.dialect import Dialect
from protocols.dialects import DIALECTS

SHORTEST, LONGEST = timedelta(milliseconds=10), timedelta(minutes=5)


def dialect_for(url: str, protocol: str) -> Dialect:
    """The protocol of this name, if it goes over a link like this. :raises UsageError: saying what does."""
    if protocol not in DIALECTS:
        says = say('"{protocol}" is no protocol that can be asked', protocol=protocol)
        raise UsageError(f"{says}{did_you_mean(protocol, DIALECTS)}: {', '.join(DIALECTS)}")
    try:
        scheme = parse_link(url).scheme
    except ValueError as error:
        raise UsageError(str(error)) from error
    if scheme not in WAYS[protocol].schemes:
        raise UsageError(say("{protocol} cannot go over {scheme}://", protocol=protocol, scheme=scheme))
    return DIALECTS[protocol]


def seconds(option: str, text: str, longest: timedelta = LONGEST) -> float:
    """A duration from 10 ms on. :raises UsageError: naming the option."""
    try:
        found = parse_duration(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from error
    if not SHORTEST <= found <= longest:
        raise UsageError(f"{option}: {text}: {show_duration(SHORTEST)} – {show_duration(longest)}")
    return found.total_seconds()
