"""Load records as a DL/T 645-2007 meter says them (06 cc 00 01): written from the same public sources as the collector's
reader, and apart from it, so that a mistake there finds no twin here.

    A0 A0, length, mm hh DD MM YY, class 1 AA … class 6 AA, sum of all before, E5
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from simulators.dlt645_values import AMPS, ENERGY, FACTOR, HERTZ, POWER, SIGNED_ENERGY, VOLTS, Answer, Digits
from simulators.errors import NoSuchData
from simulators.memories import Copy, Memories
from simulators.meter import Meter
from simulators.truth import Display

CLASSES = 6
RECORDED: dict[int, Sequence[tuple[str, Digits]]] = {
    1: [
        *((f"1-0:{c}.7.0", VOLTS) for c in (32, 52, 72)),
        *((f"1-0:{c}.7.0", AMPS) for c in (31, 51, 71)),
        ("1-0:14.7.0", HERTZ),
    ],
    2: [(f"1-0:{c}.7.0", POWER) for c in (16, 36, 56, 76, 3, 23, 43, 63)],
    3: [(f"1-0:{c}.7.0", FACTOR) for c in (13, 33, 53, 73)],
    4: [
        *((f"1-0:{c}.8.0", ENERGY) for c in (1, 2)),
        *((f"1-0:{c}.8.0", SIGNED_ENERGY) for c in (3, 4)),
    ],
}
"""What stands in each class; 5 and 6 are not recorded."""
PHASES = {32: 1, 31: 1, 36: 1, 33: 1, 23: 1, 52: 2, 51: 2, 56: 2, 53: 2, 43: 2, 72: 3, 71: 3, 76: 3, 73: 3, 63: 3}
REQUEST = 6


def records(wanted: int, asked: bytes, meter: Meter, memories: Memories, at: datetime) -> Answer:
    """Of one class, 0 for all. `asked`: N mm hh DD MM YY. :raises NoSuchData: for none, or a question that is none."""
    if len(asked) != REQUEST or (wanted and wanted not in RECORDED):
        raise NoSuchData
    try:
        since = datetime.strptime(asked[:0:-1].hex(), "%y%m%d%H%M")  # noqa: DTZ007 - a meter's clock knows no zone
    except ValueError:
        raise NoSuchData from None
    classes = (wanted,) if wanted else tuple(RECORDED)
    data, displays = b"", list[Display]()
    for copy in memories.curve(meter, since, asked[0], at):
        record, shown = _record(classes, copy, meter)
        data += record
        displays += shown
    if not data:
        raise NoSuchData
    return Answer(data, tuple(displays))


def _record(classes: Sequence[int], copy: Copy, meter: Meter) -> tuple[bytes, list[Display]]:
    body, displays = bytes.fromhex(copy.stamp.strftime("%M%H%d%m%y")), list[Display]()
    for number in range(1, CLASSES + 1):
        if number in classes:
            for name, raw, text in _fields(number, copy, meter):
                body += raw
                if text:
                    displays.append(Display(name, text, "curve", copy.stamp))
        body += b"\xaa"
    data = b"\xa0\xa0" + bytes([len(body)]) + body
    return data + bytes([sum(data) % 256, 0xE5]), displays


def _fields(number: int, copy: Copy, meter: Meter) -> Iterator[tuple[str, bytes, str]]:
    """Name, bytes, and what they show; FF where the meter has no such value."""
    for name, digits in RECORDED[number]:
        phase = PHASES.get(int(name.split(":")[1].split(".")[0]), 0)
        value = meter.value(name, copy.at) if phase <= meter.phases else None
        raw, text = digits.show(value or 0)
        yield (name, raw, text) if value is not None else (name, b"\xff" * len(raw), "")
