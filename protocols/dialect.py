"""The port that each protocol fulfils once, so that a line can be driven without knowing what is spoken on it.

A dialect is stateless; what changes while a line is used lives in the session it makes. `dialects.py` is the table of all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from protocols.profile import Profile
from protocols.telegram import Garbage, Item, Request, Session, Telegram


@dataclass(frozen=True, slots=True)
class Wanted:
    """One value to be read: `back` counts the copies a meter kept by itself, 1 = the latest (freeze, settlement).

    Of a curve `count` records are wanted from `since` on: the meter's own stamp of the first, naive, in the meter's zone.
    """

    quantity: str
    basis: str = "instant"
    back: int = 1
    since: datetime | None = None
    count: int = 1


@dataclass(frozen=True, slots=True)
class Exchange:
    """One question and the frames that answered it, follow-ups included, in order."""

    request: Request
    telegrams: tuple[Telegram, ...]


class Dialect(Protocol):
    """One protocol as a channel names it (`modbus-tcp`, `dlt645` …)."""

    name: str
    family: str
    """What profiles call it: `modbus` for both Modbus framings."""
    streaming: bool
    """Framing needs silence between frames to be sure (RTU, DL/T 645); False where a broken frame means a new connection."""
    gap_ms: int
    """Silence that ends a frame, when the channel does not say otherwise."""
    turn_chars: Decimal
    """Silence before a question, in characters, where the speed of the line is known."""

    def session(self) -> Session:
        """A fresh session for one line."""

    def requests(self, profile: Profile, address: str, wanted: Sequence[Wanted]) -> tuple[Request, ...]:
        """The fewest requests that bring all that is wanted and the profile has; what it has not is left out.

        :raises RequestError: for an address that the protocol cannot express.
        """

    def identity(self, profile: Profile, address: str) -> Request | None:
        """The question that says which meter this is; `items` then holds one whose id is `profile.identity.id` and whose
        value, as text, is what the registry calls the serial. None where the profile states no identity.
        """

    def usual(self, address: str) -> tuple[Request, ...]:
        """What `probe` asks a device of unknown make; () where nothing is usual."""

    def follow_up(self, request: Request, telegrams: Sequence[Telegram]) -> Request | None:
        """The request for the rest of an answer that said "more follows"; None when it is whole."""

    def answer_size(self, request: Request) -> int:
        """About how many bytes will answer, as a meter of the usual make does: for who must know how long it will take."""

    def items(self, profile: Profile | None, exchanges: Sequence[Exchange]) -> tuple[Item, ...]:
        """What the answers say; without a profile by the protocol's own tables, where it has such. Never raises for
        a value that makes no sense: that is an `Item` with `reason`.
        """

    def decode(self, data: bytes) -> list[Decoded]:
        """Every frame in `data`, and all that is none: for `chaobiao decode`, in either direction."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """One frame of a dump and what it says, or the bytes that are none and why."""

    event: Telegram | Garbage
    items: tuple[Item, ...] = ()
    direction: str = ""
