"""What a DL/T 645-2007 meter answers to an identifier: bytes, and the digits that a person would read off them.

    00 xx tt 00   energies (tt tariff, FF the block)         04 00 01 …   date, time        04 00 04 …   address, number
    02 …          voltages, amperages, powers, factor         04 00 05 ww  run status words  05 06 bb nn  daily freezes
    00 xx tt cc   settlement copies                    04 00 0B …   settlement days    06 cc 00 01  `dlt645_records`

Every field is BCD, low byte first; the top bit of a signed one is its sign. Digits that do not fit are not shown: a
register of six digits begins again at zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from simulators.errors import NoSuchData
from simulators.memories import Memories
from simulators.meter import Meter
from simulators.shapes import TARIFFS
from simulators.truth import Display

MILLION = 1_000_000
BLOCK = 0xFF
IMPULSES_PER_KWH = 1200
STATUS_WORDS = 7
PHASES = (20, 40, 60)
NOW = "instant", None
NOTHING_SPECIAL = Memories()


@dataclass(frozen=True, slots=True)
class Answer:
    """Data behind the identifier, and what it shows in the catalogue's words."""

    data: bytes
    displays: tuple[Display, ...] = ()


@dataclass(frozen=True, slots=True)
class Digits:
    """A field: so many digits before and behind the point, signed or not."""

    whole: int
    decimals: int
    signed: bool = False

    def show(self, millionths: int) -> tuple[bytes, str]:
        """Wire bytes and the text of them, rounded towards zero."""
        count = abs(millionths) // 10 ** (6 - self.decimals) % 10 ** (self.whole + self.decimals)
        negative = self.signed and millionths < 0 and count > 0
        raw = bytearray(bytes.fromhex(f"{count:0{self.whole + self.decimals}d}")[::-1])
        if negative:
            raw[-1] |= 0x80
        digits = f"{count:0{self.decimals + 1}d}"
        text = f"{digits[: -self.decimals]}.{digits[-self.decimals :]}"
        return bytes(raw), f"-{text}" if negative else text


ENERGY, SIGNED_ENERGY = Digits(6, 2), Digits(6, 2, signed=True)
VOLTS, AMPS, HERTZ = Digits(3, 1), Digits(3, 3, signed=True), Digits(2, 2)
POWER, FACTOR = Digits(2, 4, signed=True), Digits(1, 3, signed=True)
_ENERGIES = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 7: 7, 8: 8, 0x15: 21, 0x16: 22, 0x29: 41, 0x2A: 42, 0x3D: 61, 0x3E: 62}
"""DI2 → group C."""
_SIGNED = (3, 4)
_COMBINED = "1-0:15.8.0"
"""What 00 00 00 00 adds up is a setting of the meter; this one adds import and export. It is no quantity of the catalogue."""
_PHASED = {1: (12, VOLTS), 2: (11, AMPS)}
_TOTALLED = {3: (16, POWER), 4: (3, POWER), 5: (9, POWER), 6: (13, FACTOR)}
_SINGLE = {(0x80, 0, 1): ("1-0:91.7.0", AMPS), (0x80, 0, 2): ("1-0:14.7.0", HERTZ)}
_SETTLEMENT_DAYS = 3


def answer_of(
    identifier: bytes, meter: Meter, address: str, number: str, at: datetime, memories: Memories = NOTHING_SPECIAL
) -> Answer:
    """`identifier` as the standard writes it, DI3 first. :raises NoSuchData: where the meter has none."""
    di3, di2, di1, di0 = identifier
    match di3:
        case 0x00:
            return _energy(di2, di1, di0, meter, at, memories)
        case 0x02:
            return _instantaneous(di2, di1, di0, meter, at)
        case 0x04 if (di2, di1) == (0, 0x0B) and 1 <= di0 <= _SETTLEMENT_DAYS:
            return Answer(_settlement_day(memories, di0))
        case 0x04 if di2 == 0:
            return Answer(_parameter(di1, di0, meter, address, number, at))
        case 0x05 if di2 == 0x06:
            return _freeze(di1, di0, meter, at)
        case _:
            raise NoSuchData


def _settlement_day(memories: Memories, number: int) -> bytes:
    """Hour and day; all nines for one that is not used."""
    days = memories.settlement_days
    return bytes.fromhex("{1:02d}{0:02d}".format(*days[number - 1])) if number <= len(days) else b"\x99\x99"


def _energy(di2: int, tariff: int, copy: int, meter: Meter, at: datetime, memories: Memories) -> Answer:
    settled = memories.settlement(meter, copy, at) if copy else None
    if copy and settled is None:
        raise NoSuchData
    at = settled.at if settled else at
    if di2 == 0 and tariff == 0:
        return Answer(SIGNED_ENERGY.show(meter.value(_COMBINED, at) or 0)[0])
    if di2 not in _ENERGIES:
        raise NoSuchData
    tariffs = range(TARIFFS + 1) if tariff == BLOCK else (tariff,)
    wanted = [f"1-0:{_ENERGIES[di2]}.8.{one}" for one in tariffs]
    values = [(name, value) for name in wanted if (value := meter.value(name, at)) is not None]
    kept = ("settlement", settled.stamp) if settled else NOW
    return _row(values, SIGNED_ENERGY if di2 in _SIGNED else ENERGY, kept)


def _instantaneous(di2: int, di1: int, di0: int, meter: Meter, at: datetime) -> Answer:
    if single := _SINGLE.get((di2, di1, di0)):
        name, digits = single
        return _row(_present([name], meter, at), digits)
    if di0:
        raise NoSuchData
    phases = PHASES[: meter.phases]
    if di2 in _PHASED:
        group, digits = _PHASED[di2]
        groups = [group + phase for phase in phases]
        first = 1
    elif di2 in _TOTALLED:
        group, digits = _TOTALLED[di2]
        groups = [group, *(group + phase for phase in phases)]
        first = 0
    else:
        raise NoSuchData
    if di1 != BLOCK:
        groups = groups[di1 - first : di1 - first + 1] if di1 >= first else []
    return _row(_present([f"1-0:{one}.7.0" for one in groups], meter, at), digits)


def _freeze(what: int, back: int, meter: Meter, at: datetime) -> Answer:
    kept = meter.kept(back, at)
    if kept is None:
        raise NoSuchData
    if what == 0:
        return Answer(_stamp(kept.stamp, "%M%H%d%m%y"))
    if what not in _ENERGIES or what > 8:
        raise NoSuchData
    names = [f"1-0:{what}.8.{tariff}" for tariff in range(TARIFFS + 1)]
    return _row(_present(names, meter, kept.at), SIGNED_ENERGY if what in _SIGNED else ENERGY, ("freeze", kept.stamp))


def _parameter(di1: int, di0: int, meter: Meter, address: str, number: str, at: datetime) -> bytes:
    clock = meter.clock(at)
    date = bytes([clock.isoweekday() % 7]) + _stamp(clock, "%d%m%y")
    time = _stamp(clock, "%S%M%H")
    known = {
        (0x01, 0x01): date,
        (0x01, 0x02): time,
        (0x01, 0x0C): time + date,
        (0x02, 0x04): bytes([TARIFFS]),
        (0x04, 0x01): bytes.fromhex(address)[::-1],
        (0x04, 0x02): bytes.fromhex(number.rjust(12, "0"))[::-1],
        (0x04, 0x09): bytes.fromhex(f"{IMPULSES_PER_KWH:06d}")[::-1],
        **{(0x05, word): bytes(2) for word in range(1, STATUS_WORDS + 1)},
        (0x05, BLOCK): bytes(2 * STATUS_WORDS),
    }
    if (di1, di0) not in known:
        raise NoSuchData
    return known[di1, di0]


def _present(names: Sequence[str], meter: Meter, at: datetime) -> list[tuple[str, int]]:
    return [(name, value) for name in names if (value := meter.value(name, at)) is not None]


def _row(values: Sequence[tuple[str, int]], digits: Digits, kept: tuple[str, datetime | None] = NOW) -> Answer:
    if not values:
        raise NoSuchData
    shown = [(name, *digits.show(value)) for name, value in values]
    displays = tuple(Display(name, text, *kept) for name, _, text in shown)
    return Answer(b"".join(raw for _, raw, _ in shown), displays)


def _stamp(at: datetime, layout: str) -> bytes:
    """The fields that `layout` names, in the order they stand on the wire, two digits each."""
    return bytes.fromhex(at.strftime(layout))
