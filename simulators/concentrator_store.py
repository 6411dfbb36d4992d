"""What a simulated concentrator keeps of its meters' messages, and what of it it sends next. No broker here, no clock.

It numbers its messages from 1, anew after each restart under another `boot_id`, and keeps each until the collector says
that it has it (docs/mqtt.md). A message that nobody has spoken of for a while is sent again by itself.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

Forgets = Literal["acknowledged", "confirmed"]
"""When a message is forgotten: acknowledged by the collector, or (as most devices do) confirmed by the broker's PUBACK."""


@dataclass(slots=True)
class Kept:
    """One message that is not acknowledged. `again_at`: when it is sent again by itself, in seconds of any clock."""

    boot: str
    seq: int
    topic: str
    body: Mapping[str, object]
    again_at: float = 0
    tries: int = 0
    ready: bool = True


class Store:
    """One concentrator's memory. `patience_s`: after which an unacknowledged message is sent again, twice as long each time."""

    def __init__(self, name: str, boot: str, *, forgets: Forgets = "acknowledged", patience_s: float = 60) -> None:
        self.name = name
        self.boot = boot
        self.forgets: Forgets = forgets
        self._patience_s = patience_s
        self._seq = 0
        self._kept: dict[tuple[str, int], Kept] = {}
        self._ready: deque[Kept] = deque()

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, topic: str, body: Mapping[str, object]) -> None:
        """A meter has a message."""
        self._seq += 1
        one = self._kept[self.boot, self._seq] = Kept(self.boot, self._seq, topic, body)
        self._ready.append(one)

    def restart(self, boot: str) -> None:
        """The numbers begin anew; what is not acknowledged is on its flash and keeps the numbers it had."""
        self.boot, self._seq = boot, 0
        self._send(self._kept.values())

    def acknowledged(self, boot: str, upto: int) -> None:
        """The collector has all of this boot up to here."""
        for key in [key for key in self._kept if key[0] == boot and key[1] <= upto]:
            del self._kept[key]

    def asked(self, boot: str, first: int, last: int | None) -> None:
        """The collector misses these."""
        wanted = (one for one in self._kept.values() if one.boot == boot and first <= one.seq)
        self._send(one for one in wanted if last is None or one.seq <= last)

    def next(self, now: float) -> tuple[Kept, bytes] | None:
        """What to send now, and the payload; it counts as sent."""
        if not self._ready:
            self._send(one for one in self._kept.values() if one.again_at <= now)
        while self._ready:
            one = self._ready.popleft()
            one.ready = False
            if (one.boot, one.seq) in self._kept:
                one.tries += 1
                one.again_at = now + self._patience_s * 2 ** min(one.tries - 1, 4)
                return one, self._payload(one)
        return None

    def next_at(self) -> float | None:
        """When there will be something to send; None: nothing is kept."""
        return min((one.again_at for one in self._kept.values()), default=None)

    def confirmed(self, one: Kept) -> None:
        """The broker has it."""
        if self.forgets == "confirmed":
            self._kept.pop((one.boot, one.seq), None)

    def unsent(self, one: Kept) -> None:
        """The connection broke before the broker had it."""
        self._send((one,))

    def _send(self, those: Iterable[Kept]) -> None:
        for one in those:
            if not one.ready:
                one.ready = True
                self._ready.append(one)

    def _payload(self, one: Kept) -> bytes:
        told: dict[str, object] = {"dcu": self.name, "boot_id": one.boot, "seq": one.seq}
        if self.forgets == "acknowledged":
            told["oldest"] = next(kept.seq for kept in self._kept.values() if kept.boot == one.boot)
        return json.dumps({**one.body, **told}, separators=(",", ":")).encode()
