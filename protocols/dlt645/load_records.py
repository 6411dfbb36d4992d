"""Load records (负荷记录, 06 cc 00 nn): what the meter noted every so many minutes, each record with its own time stamp.

    question  C 11, 06 cc 00 01, number of records, mm hh DD MM YY of the first        (00 the earliest, 02 the latest: no stamp)
    record    A0 A0, length, mm hh DD MM YY, class 1 AA … class 6 AA, sum, E5

cc: the class, 00 all of them in one record. A class that is not recorded leaves its AA alone; a value that the meter has not
(phases B and C of a single-phase meter) is all FF. The length counts from the stamp to the last AA, the sum is over all before
it. Records follow each other in one answer, or one in each follow-up frame: as much as the meter puts into a frame. Asked for a
time between two records a meter begins with the later one, asked for one before its memory with its earliest; so each record
is known by its own stamp, never by what was asked.

Sources: appendix B of the standard as its users tell it (lua-dlt645 data.lua for the classes); length, sum, separators, FF and
the search by time as in a single-phase meter's own firmware (LoadCurve.c of 2013, in public). No real frame is at hand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from protocols.dlt645.pictures import parse, read, stamp
from protocols.telegram import Item

RECORD = re.compile(r"060[0-6]000[0-2]")
CLASSES: dict[int, tuple[str, ...]] = {
    1: ("XXX.X",) * 3 + ("SXXX.XXX",) * 3 + ("XX.XX",),
    2: ("SXX.XXXX",) * 8,
    3: ("SX.XXX",) * 4,
    4: ("XXXXXX.XX",) * 2 + ("SXXXXXX.XX",) * 2,
    5: ("XXXXXX.XX",) * 4,
    6: ("SXX.XXXX",) * 2,
}
"""Pictures of a class, in order: U and I of A, B, C and frequency; P of total, A, B, C and Q; power factors; energies forward,
reverse and combined reactive 1 and 2; reactive of the quadrants; present demand, active and reactive."""
QUANTITIES: dict[int, tuple[int, ...]] = {
    1: (32, 52, 72, 31, 51, 71, 14),
    2: (16, 36, 56, 76, 3, 23, 43, 63),
    3: (13, 33, 53, 73),
    4: (1, 2, 3, 4),
    5: (5, 6, 7, 8),
}
"""Group C of each value; present demands have no code here."""
_UNITS = {1: ("V",) * 3 + ("A",) * 3 + ("Hz",), 2: ("kW",) * 4 + ("kvar",) * 4, 3: ("1",) * 4}
_UNITS |= {4: ("kWh",) * 2 + ("kvarh",) * 2, 5: ("kvarh",) * 4, 6: ("kW", "kvar")}
_ENERGIES = (4, 5)
_BEGIN, _SEPARATOR, _END = b"\xa0\xa0", 0xAA, 0xE5
_STAMP, _HEAD = "YYMMDDhhmm", 8
_SIZES = {number: sum(parse(picture).length for picture in pictures) for number, pictures in CLASSES.items()}


@dataclass(frozen=True, slots=True)
class Record:
    """One record that passed every check. `time` is naive, the meter's own; None where its digits make no instant."""

    time: datetime | None
    classes: dict[int, bytes]

    def field(self, number: int, position: int) -> bytes | None:
        """The bytes of one value; None where its class was not recorded, or has no such value."""
        data = self.classes.get(number)
        if data is None or position >= len(CLASSES[number]):
            return None
        before = sum(parse(picture).length for picture in CLASSES[number][:position])
        return data[before : before + parse(CLASSES[number][position]).length]


def question(count: int, since: datetime) -> bytes:
    """What follows the identifier: how many records, from which stamp on."""
    return bytes([count]) + bytes.fromhex(f"{since:%M%H%d%m%y}")


def records(payload: bytes) -> Iterator[Record | None]:
    """The records of an answer, oldest first; None, and nothing after it, where the bytes are no record any more."""
    while payload:
        length = payload[2] + 5 if len(payload) > _HEAD else 0
        found = _record(payload[:length]) if len(payload) >= length > _HEAD else None
        yield found
        if found is None:
            return
        payload = payload[length:]


def items(target: str, payload: bytes) -> tuple[Item, ...]:
    """All that an answer says by itself, record by record."""
    found: list[Item] = []
    for record in records(payload):
        if record is None:
            found.append(Item(target, payload, reason="wrong_length"))
            continue
        for number in record.classes:
            for position, picture in enumerate(CLASSES[number]):
                found.append(_value(target, record, number, position, picture))
    return tuple(found)


def _value(target: str, record: Record, number: int, position: int, picture: str) -> Item:
    raw = record.field(number, position) or b""
    quantity = None
    if number in QUANTITIES:
        quantity = f"1-0:{QUANTITIES[number][position]}.{8 if number in _ENERGIES else 7}.0"
    item = Item(target, raw, unit=_UNITS[number][position], quantity=quantity, time=record.time, basis="curve")
    if not raw.strip(b"\xff"):
        return replace(item, reason="invalid_value")
    told = read(parse(picture), raw)
    return replace(item, value=told.value, reason=told.reason)


def _record(data: bytes) -> Record | None:
    if not data.startswith(_BEGIN) or data[-1] != _END or sum(data[:-2]) % 256 != data[-2]:
        return None
    body, place = data[_HEAD:-2], 0
    classes: dict[int, bytes] = {}
    for number, size in _SIZES.items():
        if place < len(body) and body[place] != _SEPARATOR:
            classes[number] = body[place : place + size]
            place += size
        if place >= len(body) or body[place] != _SEPARATOR:
            return None
        place += 1
    return Record(stamp(_STAMP, data[3:_HEAD]), classes) if place == len(body) else None
