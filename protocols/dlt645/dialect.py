"""DL/T 645-2007 as a `Dialect`: which identifiers bring what is wanted. What the answers say: `answers`; dumps: `dump`.

A register that the profile puts at `0001FF00` or `050601nn` is one value of a block; its `position` counts from the total.
A daily freeze is known by its own time stamp, never by its place in the meter's memory (DESIGN §2). The stamp is an
identifier of its own, and when the meter makes a new freeze between two answers, every copy moves on by one place: the value
of one day would get the stamp of another. So the stamp is asked before and after the values, and counts only if it stood still.
A settlement copy has no stamp; what its time is reckoned from is asked around it in the same way (`settlements`). Records of a
load curve carry their stamp with them (`load_records`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal

from protocols.dialect import Decoded, Exchange, Wanted
from protocols.dlt645 import answers, dump, load_records, settlements
from protocols.dlt645.address import full_address
from protocols.dlt645.controls import FOLLOW_UP, READ
from protocols.dlt645.frame import OVERHEAD, PREAMBLE
from protocols.dlt645.identifiers import copy_of, find
from protocols.dlt645.session import LAST_SEQUENCE, Dlt645Session
from protocols.profile import Profile
from protocols.telegram import Item, Request, Telegram

_Around = tuple[tuple[str, ...], tuple[str, ...]]
"""Identifiers asked before and after some values: what says their time."""
_Question = tuple[str, bytes]
"""An identifier, and what is asked beyond it."""

USUAL = (
    "00000000",
    "00010000",
    "02010100",
    "02010200",
    "02010300",
    "02020100",
    "02020200",
    "02020300",
    "02030000",
    "04000101",
    "04000102",
)
"""What `probe` asks of a meter it knows nothing about: energies, voltages, amperages, power, clock."""
USUAL_PARTS, UNKNOWN_SIZE = 5, 8
"""Of an answer whose size only the meter knows: values in a block, bytes of what the table has not."""


class Dlt645Dialect:
    """`protocols.dialect.Dialect`; stateless."""

    name = "dlt645"
    family = "dlt645"
    streaming = True
    gap_ms = 500
    turn_chars = Decimal(1)  # DL/T 645-2007 wants none; the meter's transmitter has to let go of the line
    """Bytes of one frame follow each other within this time (quoted from the standard by greensea/dlt645)."""

    def session(self) -> Dlt645Session:
        """A fresh session for one line."""
        return Dlt645Session()

    def requests(self, profile: Profile, address: str, wanted: Sequence[Wanted]) -> tuple[Request, ...]:
        """One request an identifier, in the order wanted; values with a stamp stand between two requests for it.

        `ids` hold the registers' ids and their quantities (of a block only some values may be wanted); those of a request
        for a stamp are all that is lost without it. :raises RequestError: for no address.
        """
        asked = full_address(address)
        groups: dict[_Around, dict[_Question, dict[str, None]]] = {((), ()): {}}
        for want in wanted:
            register = profile.find(want.quantity, want.basis)
            if register is None or not 1 <= want.back <= register.depth:
                continue
            around: _Around = ((), ())
            question = copy_of(register.id, want.back), b""
            if register.time_id:
                around = ((copy_of(register.time_id, want.back),),) * 2
            elif register.basis == "settlement":
                around = settlements.BEFORE, settlements.AFTER
            elif register.basis == "curve":
                if want.since is None:
                    continue
                question = register.id, load_records.question(want.count, want.since)
            ids = groups.setdefault(around, {}).setdefault(question, {})
            ids.update({register.id: None, register.quantity: None})
        order: list[Request] = []
        for (before, after), values in groups.items():
            every = [id_ for ids in values.values() for id_ in ids]
            order += [_read(asked, target, every) for target in before]
            order += [replace(_read(asked, target, ids), data=data) for (target, data), ids in values.items()]
            order += [_read(asked, target, every) for target in after]
        return tuple(order)

    def identity(self, profile: Profile, address: str) -> Request | None:
        """The meter number, where the profile names its identifier; the address is proven by every answer anyhow."""
        if profile.identity is None:
            return None
        return _read(full_address(address), profile.identity.id, [profile.identity.id])

    def usual(self, address: str) -> tuple[Request, ...]:
        """`USUAL`, one by one: a meter that lacks one answers D1 and the next is asked."""
        asked = full_address(address)
        return tuple(_read(asked, target, [target]) for target in USUAL)

    def follow_up(self, request: Request, telegrams: Sequence[Telegram]) -> Request | None:
        """Function 12 with the next number. After 255 there is no number left: the answer stays unfinished."""
        if not telegrams or not telegrams[-1].more or len(telegrams) > LAST_SEQUENCE:
            return None
        return replace(request, function=FOLLOW_UP, count=len(telegrams))

    def answer_size(self, request: Request) -> int:
        """By the table of identifiers. A block brings what the meter has: the total and four tariffs are usual."""
        data, meaning = UNKNOWN_SIZE, find(request.target)
        if meaning is not None:
            data = meaning.picture.length * max(1, min(len(meaning.parts), USUAL_PARTS))
        return len(PREAMBLE) + OVERHEAD + len(request.target) // 2 + data

    def items(self, profile: Profile | None, exchanges: Sequence[Exchange]) -> tuple[Item, ...]:
        """With a profile: its registers that were asked for, freezes with their stamp. Without: all, by the table."""
        if profile is None:
            return answers.by_table(exchanges)
        return answers.by_profile(profile, exchanges)

    def decode(self, data: bytes) -> list[Decoded]:
        """Every frame, requests and answers alike, and what lies between them."""
        return dump.decode(data)


def _read(address: str, target: str, ids: Iterable[str]) -> Request:
    return Request(address, READ, target, ids=tuple(dict.fromkeys(ids)))


DLT645 = Dlt645Dialect()
