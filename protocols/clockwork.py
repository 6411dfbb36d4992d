"""The port of protocols whose meters have a clock that can be read, and perhaps set. `dialects.TIMEKEEPERS` is the table of all.

Stamps are naive, in the meter's own zone: which one that is, the registry knows. What changes a clock is built here and sent
by whoever was allowed to; nothing here decides.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from protocols.dialect import Exchange
from protocols.telegram import Request


@dataclass(frozen=True, slots=True)
class Key:
    """What a meter wants to see before it lets its clock be set; never shown. `operator` stands in its records afterwards."""

    password: str = field(repr=False)
    operator: str = ""


class Timekeeper(Protocol):
    """One protocol's clock."""

    step_us: int
    """One step of what the meter shows."""
    broadcast_reach_us: int
    """A meter takes a broadcast time only where it is off by no more; 0 where the protocol knows no broadcast."""

    def ask_date(self, address: str) -> Request | None:
        """The question for the date alone; None where `ask_time` brings it. :raises RequestError: for no address."""

    def ask_time(self, address: str) -> Request:
        """The question whose answer is the instant that counts. :raises RequestError: for no address."""

    def shown(self, date: Exchange | None, time: Exchange) -> datetime | None:
        """What the clock says; None where that is no date or no time at all."""

    def set_to(self, address: str, stamp: datetime, key: Key, *, date: bool) -> tuple[Request, ...]:
        """The writes that put one meter's clock to `stamp`, its date too where `date`.

        :raises RequestError: for an address that is not one meter's own, or a key that the protocol cannot express.
        """

    def broadcast(self, stamp: datetime) -> Request:
        """The frame that tells every meter of a line the time. Nobody answers it."""

    def wrong_key(self, received: bytes) -> bool:
        """Whether a refusal among these bytes says that the key was wrong."""

    def without_key(self, data: bytes) -> bytes:
        """The same bytes with the key of every whole write blotted out, and what would tell of it (a sum)."""

    def on_the_wire(self, key: Key) -> bytes:
        """The key as its bytes stand in a frame, so that it is found in what is no whole frame, too."""
