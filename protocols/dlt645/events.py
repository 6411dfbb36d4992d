"""What a DL/T 645-2007 meter writes down: status words 04000501 to 07, and records of events with their counters.

    03110000  031100nn  power down                 03040000  0304ppnn  a phase lost its voltage
    03300D00  03300Dnn  cover opened               030E0000  030Eppnn  energy flow of a phase reversed
    03300E00  03300Enn  terminal cover opened      1D000001  1D0001nn  relay opened     (start only)
    03350000  033500nn  constant magnetic field    1E000001  1E0001nn  relay closed     (start only)

nn counts from 01, the latest, to 0A. A counter is three BCD bytes; one by phases has a count and minutes for each of A, B, C.
A record begins with its start, and mostly its end, YYMMDDhhmmss low byte first; what follows is not looked at here.

Sources: PyPI dlt645 3.2.0 (config/event_record_types.py) and srdgame/lua-dlt645 (dlt645/data.lua) for all but two:
that the magnetic field is 0335 no source at hand confirms; 1D and 1E stand in the latter alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from protocols.dialect import Exchange
from protocols.dlt645 import pictures
from protocols.dlt645.address import full_address
from protocols.dlt645.controls import READ
from protocols.dlt645.identifiers import status_says
from protocols.telegram import Request
from protocols.witness import POWER_DOWN, Happened, Sort

WORDS = 7
_BLOCK = "040005FF"
_PHASES = ("A", "B", "C")
_COUNT, _STAMP = 3, 6


@dataclass(frozen=True, slots=True)
class _Kind:
    name: str
    counter: str
    record: str
    """`nn` the number, `pp` the phase."""
    ends: bool = True

    @property
    def phased(self) -> bool:
        return "pp" in self.record


_KINDS = (
    _Kind(POWER_DOWN, "03110000", "031100nn"),
    _Kind("cover_opened", "03300D00", "03300Dnn"),
    _Kind("terminals_opened", "03300E00", "03300Enn"),
    _Kind("magnetic_field", "03350000", "033500nn"),
    _Kind("phase_loss", "03040000", "0304ppnn"),
    _Kind("reversed", "030E0000", "030Eppnn"),
    _Kind("relay_opened", "1D000001", "1D0001nn", ends=False),
    _Kind("relay_closed", "1E000001", "1E0001nn", ends=False),
)
_BY_NAME = {kind.name: kind for kind in _KINDS}
_BY_COUNTER = {kind.counter: kind for kind in _KINDS}


class Dlt645Witness:
    """`protocols.witness.Witness`; stateless."""

    depth = 10

    def ask_status(self, address: str) -> tuple[tuple[Request, ...], ...]:
        """All words in one answer; a meter without that block gives them one by one."""
        asked = full_address(address)
        single = tuple(_read(asked, f"040005{word:02X}") for word in range(1, WORDS + 1))
        return (_read(asked, _BLOCK),), single

    def status(self, exchanges: tuple[Exchange, ...]) -> tuple[int, ...] | None:
        """Two bytes a word, low byte first."""
        data = b"".join(map(_payload, exchanges))
        if len(data) != 2 * WORDS or any(len(_payload(one)) not in (2, 2 * WORDS) for one in exchanges):
            return None
        return tuple(int.from_bytes(data[place : place + 2], "little") for place in range(0, len(data), 2))

    def says(self, words: tuple[int, ...]) -> tuple[str, ...]:
        """By the table of bits; words of phases name theirs."""
        said = []
        for number, word in enumerate(words, 1):
            phase = f" ({_PHASES[number - 4]})" if number in (4, 5, 6) else ""
            said += [text + phase for text in status_says(number, word)]
        return tuple(said)

    def ask_counts(self, address: str) -> tuple[Request, ...]:
        """One a kind."""
        asked = full_address(address)
        return tuple(_read(asked, kind.counter) for kind in _KINDS)

    def counts(self, exchange: Exchange, phases: int) -> dict[Sort, int]:
        """Of a meter with one phase only A counts."""
        kind, data = _BY_COUNTER[exchange.request.target], _payload(exchange)
        if not kind.phased:
            count = _number(data) if len(data) == _COUNT else None
            return {} if count is None else {Sort(kind.name): count}
        if len(data) != 2 * _COUNT * len(_PHASES):
            return {}
        parts = (data[place : place + _COUNT] for place in range(0, len(data), 2 * _COUNT))
        counted = {Sort(kind.name, phase): _number(part) for phase, part in zip(_PHASES, parts, strict=True)}
        return {sort: count for sort, count in list(counted.items())[:phases] if count is not None}

    def ask_record(self, address: str, sort: Sort, back: int) -> Request:
        """By number."""
        phase = f"{_PHASES.index(sort.phase) + 1:02X}" if sort.phase else ""
        target = _BY_NAME[sort.kind].record.replace("pp", phase).replace("nn", f"{back:02X}")
        return _read(full_address(address), target)

    def record(self, sort: Sort, exchange: Exchange) -> Happened | None:
        """Zeros stand for no time."""
        data = _payload(exchange)
        start = pictures.stamp("YYMMDDhhmmss", data[:_STAMP])
        if start is None:
            return None
        end = pictures.stamp("YYMMDDhhmmss", data[_STAMP : 2 * _STAMP]) if _BY_NAME[sort.kind].ends else None
        return Happened(sort, start, end)


def _read(address: str, target: str) -> Request:
    return Request(address, READ, target, ids=(target,))


def _payload(exchange: Exchange) -> bytes:
    """The data of all frames of one answer; b"" while the meter still owes some."""
    if not exchange.telegrams or exchange.telegrams[-1].more:
        return b""
    return b"".join(part.payload for part in exchange.telegrams)


def _number(data: bytes) -> int | None:
    digits = data[::-1].hex()
    return int(digits) if digits.isdecimal() else None


DLT645_WITNESS = Dlt645Witness()
