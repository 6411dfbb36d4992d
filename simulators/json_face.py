"""Meters that push: what they publish, and when they owe it. No broker here; `mqtt_publisher` carries it.

Payload of the built-in profile `json_meter` (DESIGN §8): topic `meters/<address>/reading`,
`{"time": RFC 3339 with offset, "values": {"1-0:1.8.0": "123.45", …}, "seq": n}`, values as decimal text. A meter owes a
message at every full `every`, and at midnight one more with `"basis": "freeze"`; it holds the registers of that
instant, however late it leaves.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal

from protocols.profile import Profile
from simulators.load import EPOCH
from simulators.meter import Meter
from simulators.truth import Display


@dataclass(frozen=True, slots=True)
class Message:
    """One message, ready to be published."""

    meter: str
    topic: str
    payload: bytes
    time: datetime
    seq: int
    displays: tuple[Display, ...]


class JsonMeter:
    """One meter that pushes. `since`: what is owed before it has been sent by somebody else."""

    def __init__(self, address: str, meter: Meter, profile: Profile, *, every: timedelta, since: datetime) -> None:
        self.meter = meter
        self._topic = f"meters/{address}/reading"
        self._registers = profile.registers
        self._every = every
        self._sent_until = since
        self._seq = 0

    def owed(self, until: datetime) -> Iterator[Message]:
        """Every message due in (last, until], oldest first; they count as handed over when taken."""
        while (due := self._next()) <= until:
            self._sent_until = due
            yield self._message(due, "instant")
            if self.meter.clock(due).time() == time() and any(one.basis == "freeze" for one in self._registers):
                yield self._message(due, "freeze")

    def _next(self) -> datetime:
        """The first full `every` after the last message."""
        return EPOCH + ((self._sent_until - EPOCH) // self._every + 1) * self._every

    def _message(self, due: datetime, basis: str) -> Message:
        self._seq += 1
        displays = [
            Display(register.quantity, cut(value, register.resolution), basis, due)
            for register in self._registers
            if register.basis == basis and (value := self.meter.value(register.quantity, due)) is not None
        ]
        body: dict[str, object] = {
            "time": due.astimezone(self.meter.zone).isoformat(),
            "values": {display.quantity: display.text for display in displays},
            "seq": self._seq,
        }
        if basis != "instant":
            body["basis"] = basis
        payload = json.dumps(body, separators=(",", ":")).encode()
        return Message(self.meter.name, self._topic, payload, due, self._seq, tuple(displays))


def cut(millionths: int, resolution: Decimal) -> str:
    """Decimal text, cut to the resolution: 1234567, 0.01 → `1.23`."""
    step = Decimal(millionths).scaleb(-6) // resolution
    return f"{step * resolution:f}"
