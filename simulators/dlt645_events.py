"""What a simulated DL/T 645 meter has written down: counters, records, status words. Written a second time from the standard's
tables, not taken from the collector's.

    03 11 00 nn  power down        03 30 0D nn  cover        03 30 0E nn  terminal cover     03 35 00 nn  magnetic field
    03 04 pp nn  phase lost        03 0E pp nn  reversed     1D 00 01 nn  relay opened       1E 00 01 nn  relay closed

nn = 00 (1D, 1E: 00 01) is the counter. Ten records of each are kept, the latest first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from simulators.errors import NoSuchData
from simulators.meter import Meter

DEPTH = 10
PHASES = "ABC"
_WHOLE = {
    b"\x03\x11\x00": "power_down",
    b"\x03\x30\x0d": "cover_opened",
    b"\x03\x30\x0e": "terminals_opened",
    b"\x03\x35\x00": "magnetic_field",
}
_PHASED = {b"\x03\x04": "phase_loss", b"\x03\x0e": "reversed"}
_RELAY = {0x1D: "relay_opened", 0x1E: "relay_closed"}
_TAIL = 119
"""Bytes of a phase's record behind its two times: energies and what the phases were like."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened, by true time; `phase` A, B, C or none."""

    kind: str
    start: datetime
    end: datetime | None = None
    phase: str = ""


def events_of(identifier: bytes, meter: Meter, events: Sequence[Event], at: datetime) -> bytes:
    """The data of an answer. :raises NoSuchData: where it is none of these."""
    di3, di2, di1, di0 = identifier
    if di3 in _RELAY and di2 == 0:
        return _of_relay(_RELAY[di3], di1, di0, meter, events, at)
    if (kind := _PHASED.get(identifier[:2])) is not None:
        return _of_phase(kind, di1, di0, meter, events, at)
    if (kind := _WHOLE.get(identifier[:3])) is not None:
        known = _known(kind, "", events, at)
        return _bcd(len(known), 3) if di0 == 0 else _record(known, di0, meter, at)
    raise NoSuchData


def _of_relay(kind: str, di1: int, di0: int, meter: Meter, events: Sequence[Event], at: datetime) -> bytes:
    known = _known(kind, "", events, at)
    if (di1, di0) == (0, 1):
        return _bcd(len(known), 3)
    if di1 != 1:
        raise NoSuchData
    return _record(known, di0, meter, at)[:6]


def _of_phase(kind: str, di1: int, di0: int, meter: Meter, events: Sequence[Event], at: datetime) -> bytes:
    if (di1, di0) == (0, 0):
        return b"".join(_bcd(len(_known(kind, phase, events, at)), 3) + bytes(3) for phase in PHASES)
    if not 1 <= di1 <= meter.phases:
        raise NoSuchData
    return _record(_known(kind, PHASES[di1 - 1], events, at), di0, meter, at) + bytes(_TAIL)


def _known(kind: str, phase: str, events: Sequence[Event], at: datetime) -> list[Event]:
    """Those that have begun, the latest first."""
    begun = [one for one in events if one.kind == kind and one.phase == phase and one.start <= at]
    return sorted(begun, key=lambda one: one.start, reverse=True)


def _record(known: Sequence[Event], back: int, meter: Meter, at: datetime) -> bytes:
    if not 1 <= back <= DEPTH:
        raise NoSuchData
    if back > len(known):
        return bytes(12)
    one = known[back - 1]
    ended = one.end is not None and one.end <= at
    return _stamp(meter.clock(one.start)) + (_stamp(meter.clock(one.end)) if one.end and ended else bytes(6))


def _stamp(shown: datetime) -> bytes:
    return bytes.fromhex(shown.strftime("%S%M%H%d%m%y"))


def _bcd(number: int, length: int) -> bytes:
    return bytes.fromhex(f"{number:0{2 * length}d}")[::-1]
