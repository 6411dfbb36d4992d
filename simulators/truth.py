"""What every meter really showed, kept while it happens and written down afterwards: the judge of the collector.

Truth is the register *as shown on the wire*: not what the meter holds inside, but the digits that left it. Entries are
made by the faces when an answer leaves, so an answer that was never sent is in no truth. The file is JSON Lines,
`format = 1` in its first line; then one line a meter, a fault, a spoilt exchange, a shown value.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from simulators.faults import EXPECTED, Fault, FaultKind

FORMAT = 1
DEFAULT_LIMIT = 2_000_000
"""Entries kept; a fleet that is served for weeks forgets its oldest (the file says how many)."""
Key = tuple[str, str, str, datetime]


@dataclass(frozen=True, slots=True)
class Display:
    """One value on its way out: `text` as a person would read it off the wire, `time` the meter's stamp or None = now."""

    quantity: str
    text: str
    basis: str = "instant"
    time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Spoilt:
    """An exchange that a line fault took."""

    meter: str
    time: datetime
    kind: FaultKind


class Truth:
    """The record of one run."""

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        self._shown: dict[Key, str] = {}
        self._spoilt: list[Spoilt] = []
        self._limit = limit
        self.forgotten = 0

    def show(self, meter: str, at: datetime, displays: Iterable[Display]) -> None:
        """An answer with these values left the meter at `at`."""
        for display in displays:
            time = (display.time or at).astimezone(UTC)
            self._shown[meter, display.quantity, display.basis, time] = display.text
        while len(self._shown) > self._limit:
            del self._shown[next(iter(self._shown))]
            self.forgotten += 1

    def spoil(self, meter: str, at: datetime, kind: FaultKind) -> None:
        """A line fault took an exchange at `at`."""
        self._spoilt.append(Spoilt(meter, at.astimezone(UTC), kind))
        if len(self._spoilt) > self._limit:
            del self._spoilt[0]
            self.forgotten += 1

    def value(self, meter: str, quantity: str, basis: str, time: datetime) -> str | None:
        """What was shown for this key; None where nothing was."""
        return self._shown.get((meter, quantity, basis, time.astimezone(UTC)))

    @property
    def shown(self) -> Mapping[Key, str]:
        """All that was shown: (meter, quantity, basis, time) → text."""
        return self._shown

    @property
    def spoilt(self) -> tuple[Spoilt, ...]:
        """All exchanges that a line fault took, oldest first."""
        return tuple(self._spoilt)

    def lines(
        self, head: Mapping[str, object], meters: Iterable[Mapping[str, object]], faults: Iterable[Fault]
    ) -> Iterator[str]:
        """The file's lines: `head` says which run this is."""
        yield _line({"format": FORMAT, "type": "truth", **head, "forgotten": self.forgotten})
        for meter in meters:
            yield _line({"type": "meter", **meter})
        for fault in faults:
            yield _line(
                {
                    "type": "fault",
                    "meter": fault.meter,
                    "kind": fault.kind.value,
                    "from": _stamp(fault.start),
                    "to": _stamp(fault.end) if fault.end else None,
                    "share": fault.share,
                    "expected": EXPECTED[fault.kind],
                }
            )
        for spoilt in self._spoilt:
            yield _line(
                {"type": "spoilt", "meter": spoilt.meter, "time": _stamp(spoilt.time), "kind": spoilt.kind.value}
            )
        for (name, quantity, basis, time), text in self._shown.items():
            yield _line(
                {
                    "type": "shown",
                    "meter": name,
                    "quantity": quantity,
                    "basis": basis,
                    "time": _stamp(time),
                    "value": text,
                }
            )


def write_truth(path: Path, lines: Iterable[str]) -> None:
    """The truth file, whole or not at all."""
    beside = path.with_name(path.name + ".part")
    with beside.open("w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)
    beside.replace(path)


def _line(entry: Mapping[str, object]) -> str:
    return json.dumps(entry, ensure_ascii=False, separators=(",", ":"))


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
