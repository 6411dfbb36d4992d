"""The four words between a line and a protocol, and the port every session speaks.

A *session* is sans-io: it turns requests into bytes and bytes into events, and never waits, opens or asks the time.

    session.send(request)    -> the bytes to put on the line; what was left in the buffer is forgotten
    session.receive(data)    bytes came in
    session.next_event()     -> NeedMore | Garbage | Telegram; call again until NeedMore
    session.idle()           the line has been silent for the protocol's gap, or the input has ended:
                             what cannot become a frame any more is given up, from the next byte on

`NeedMore`, `Garbage` and `Telegram` are values and none is raised, so "not yet complete" can never be confused with
"broken" (a parser that does waits for ever).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from protocols.errors import ProtocolError


@dataclass(frozen=True, slots=True)
class Item:
    """One thing a telegram says, still in the protocol's own words.

    `id` as the protocol writes it (`00010000`, a register's wire address, a JSON path). `value` is exactly what the wire
    says in the wire's unit, before the profile's scale and rounding; None where the bytes have no meaning that can be
    believed (then `raw` is all there is, and `reason` says why: `invalid_value`, `bad_digits`, `unknown`). `step` is one
    step of a floating-point value at this size. `time` is the meter's own stamp where the telegram carries one: naive,
    in the meter's own zone, unless the protocol states an offset. `basis` where the telegram itself says it (a JSON
    message); else it is that of the profile's register with this id.
    """

    id: str
    raw: bytes = b""
    value: Decimal | str | None = None
    unit: str | None = None
    quantity: str | None = None
    time: datetime | None = None
    step: Decimal | None = None
    reason: str = ""
    basis: str | None = None
    copy: int | None = None
    """Which of the numbered copies that a meter keeps this is (DL/T 645: 1 the latest)."""


@dataclass(frozen=True, slots=True)
class Request:
    """One question to one device.

    `address` as the registry writes it; `function` and `target` mean what the protocol says they mean: Modbus takes the
    function code, first wire register and count; DL/T 645 the control code, data identifier (hex) and sequence number.
    `ids` are the profile's ids that the answer is expected to hold. `data` is what a question says beyond its target
    (DL/T 645 load records: how many, and the time of the first), or what is written; never shown, a password may be in it.
    """

    address: str
    function: int
    target: str
    count: int = 0
    ids: tuple[str, ...] = ()
    data: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Telegram:
    """One frame that passed every check. As an answer it belongs to the request that was sent, proven by the session."""

    address: str
    function: int
    payload: bytes
    frame: bytes
    more: bool = False
    """Another frame follows and must be asked for (DL/T 645 control B1)."""
    detail: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NeedMore:
    """Nothing wrong, nothing complete."""


@dataclass(frozen=True, slots=True)
class Garbage:
    """Bytes given up, and why. A refusal by the device is not garbage: it is a frame, with `Refused` as its error."""

    data: bytes
    error: ProtocolError


Event = NeedMore | Garbage | Telegram


class Session(Protocol):
    """What a link drives. One session serves one line; it keeps the last request so that answers can be checked."""

    expects: int
    """Bytes of the answer to the last request; 0 where the request does not tell."""

    def send(self, request: Request) -> bytes:
        """Bytes of the request. :raises RequestError: if the protocol cannot express it."""

    def receive(self, data: bytes) -> None:
        """Bytes arrived."""

    def next_event(self) -> Event:
        """The next thing that can be said about what arrived."""

    def idle(self) -> None:
        """Silence, or the end of the input."""
