"""The Modbus face of a meter without its wire: which register holds which word at an instant, and what that says.

Where a value stands and how it is coded is the profile's; putting it into words is done here with `struct` and floats,
on purpose not with the collector's decoder, so that a mistake in that one has no twin. Truth is taken from the words
themselves, the way a person would read them: the float that is nearest to the register, shown to the profile's
resolution, half-even.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction

from protocols.profile import Profile, Register
from simulators.errors import SimulatorError
from simulators.meter import Meter
from simulators.truth import Display

MILLION = 1_000_000
_LAYOUTS = {
    "uint16": ">H",
    "int16": ">h",
    "uint32": ">I",
    "int32": ">i",
    "uint64": ">Q",
    "int64": ">q",
    "float32": ">f",
    "float64": ">d",
}
_READING = Context(prec=1200, rounding=ROUND_HALF_EVEN)


@dataclass(frozen=True, slots=True)
class Place:
    """Where one value stands: first word, number of words, function."""

    first: int
    words: int
    function: int
    register: Register | None = None

    def within(self, function: int, first: int, count: int) -> bool:
        """Whether a request brings all of it."""
        return function == self.function and first <= self.first and self.first + self.words <= first + count


class RegisterImage:
    """All registers of one meter, computed when they are asked for."""

    def __init__(self, profile: Profile, meter: Meter, serial: str = "") -> None:
        if profile.modbus is None:
            raise SimulatorError(f"{profile.id} is no Modbus profile")
        self.meter = meter
        self._order = profile.modbus.word_order
        self._gap = profile.modbus.max_gap
        self._serial = serial
        default = profile.modbus.function
        self.places = [
            Place(int(one.id), _words(one.type), one.function or default, one)
            for one in profile.registers
            if one.basis == "instant"
        ]
        self._identity_type = ""
        if profile.identity is not None:
            self._identity_type = profile.identity.type
            function = profile.identity.function or default
            self.places.append(Place(int(profile.identity.id), _words(profile.identity.type), function))

    def spans(self, function: int) -> list[tuple[int, int]]:
        """(first, count) of the registers that answer: values, and the gaps that the profile says may be read along."""
        spans: list[tuple[int, int]] = []
        for place in sorted((p for p in self.places if p.function == function), key=lambda p: p.first):
            if spans and place.first - sum(spans[-1]) <= self._gap:
                first = spans[-1][0]
                spans[-1] = (first, max(sum(spans[-1]), place.first + place.words) - first)
            else:
                spans.append((place.first, place.words))
        return spans

    def fill(self, function: int, first: int, count: int, at: datetime, words: list[int], base: int) -> list[Display]:
        """Put the words of a request at an instant into `words`, whose index 0 is register `base`; what they say."""
        displays = []
        for place in self.places:
            if place.function != function or not first <= place.first < first + count:
                continue
            raw = (
                self._identity() if place.register is None else _encode(place.register, self._held(place.register, at))
            )
            swapped = _on_wire(raw, self._order)
            words[place.first - base : place.first - base + place.words] = _split(swapped)
            if place.register is not None and place.within(function, first, count):
                text = read_off(place.register.type, raw, place.register.scale, place.register.resolution)
                displays.append(Display(place.register.quantity, text))
        return displays

    def _held(self, register: Register, at: datetime) -> int:
        """Millionths, down to the digits that the meter has. A quantity that it does not count stays at zero."""
        value = self.meter.value(register.quantity, at) or 0
        step = int(register.resolution * MILLION)
        return value // step * step if step > 1 else value

    def _identity(self) -> bytes:
        layout = _LAYOUTS.get(self._identity_type)
        if layout is not None:
            return struct.pack(layout, int(self._serial or 0))
        return self._serial.encode("ascii").ljust(2 * _words(self._identity_type), b"\x00")


def read_off(type_: str, raw: bytes, scale: Decimal, resolution: Decimal) -> str:
    """What words say: the exact number in them, times the scale, shown half-even to the resolution."""
    (number,) = struct.unpack(_LAYOUTS[type_], raw)
    exact = _READING.multiply(Decimal(number), scale)
    return f"{_READING.quantize(exact, resolution.normalize()):f}"


def _encode(register: Register, millionths: int) -> bytes:
    wanted = Fraction(millionths, MILLION) / Fraction(register.scale)
    layout = _LAYOUTS.get(register.type)
    if layout is None:
        raise SimulatorError(f"register {register.id}: no simulated meter codes {register.type!r}")
    if register.type.startswith("float"):
        return struct.pack(layout, wanted.numerator / wanted.denominator)
    return struct.pack(layout, wanted.numerator // wanted.denominator)


def _words(type_: str) -> int:
    if type_ in _LAYOUTS:
        return struct.calcsize(_LAYOUTS[type_]) // 2
    if type_.startswith("string"):
        return int(type_.removeprefix("string")) // 2
    raise SimulatorError(f"no simulated meter codes {type_!r}")


def _on_wire(raw: bytes, order: str) -> bytes:
    """Bytes that stand most significant first, as the device sends them."""
    words = [raw[place : place + 2] for place in range(0, len(raw), 2)]
    if order in ("CDAB", "DCBA"):
        words.reverse()
    if order in ("BADC", "DCBA"):
        words = [word[::-1] for word in words]
    return b"".join(words)


def _split(data: bytes) -> Iterator[int]:
    return (high << 8 | low for high, low in zip(data[::2], data[1::2], strict=True))
