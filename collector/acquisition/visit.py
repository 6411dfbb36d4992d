"""A visit: everything one meter is asked in one go, with retries, and what became of each question.

A visit knows no slots and judges no values. Invariant: every question asked ends either among `answered` or among `failed`, and
every value wanted that no question stands for is among `failed` too; nothing is dropped in silence.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from collector.acquisition.line import Errand, Line, Try
from collector.acquisition.outcome import rule
from collector.acquisition.timing import Timing
from protocols.dialect import Dialect, Exchange, Wanted
from protocols.errors import RequestError
from protocols.profile import Profile
from protocols.telegram import Item, Request, Telegram
from storage.records import Attempt, Owner
from storage.registry import Meter

MOST_FOLLOW_UPS = 255
"""The sequence number of a follow-up is one byte (DL/T 645 §12)."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A question without an answer, or a value that no question can bring. `ids`: the profile's ids that are missing now."""

    ids: tuple[str, ...]
    reason: str
    owner: Owner
    detail: str
    attempts: int


@dataclass(frozen=True, slots=True)
class Answered:
    """One whole answer, follow-ups included, and the instant its last frame arrived."""

    exchange: Exchange
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Visit:
    """What a meter was asked and what it said. `attempts` has every try, those that a retry made good included."""

    meter: Meter
    attempts: tuple[Attempt, ...]
    answered: tuple[Answered, ...]
    items: tuple[Item, ...]
    failed: tuple[Failed, ...]

    def arrivals(self) -> Iterator[tuple[datetime, tuple[Item, ...]]]:
        """Items by the instant at which their answer arrived; what no request names belongs to the last answer."""
        if not self.answered:
            return
        when = {id_: one.received_at for one in self.answered for id_ in one.exchange.request.ids}
        last = self.answered[-1].received_at
        for at, items in groupby(self.items, key=lambda item: when.get(item.id, last)):
            yield at, tuple(items)

    def failure(self, id_: str) -> Failed | None:
        """Why a register of the profile was not read."""
        return next((one for one in self.failed if id_ in one.ids), None)


async def read_meter(
    line: Line,
    dialect: Dialect,
    profile: Profile,
    meter: Meter,
    wanted: Sequence[Wanted],
    timing: Timing,
    *,
    plan: str = "",
) -> Visit:
    """Ask one meter for all that is wanted.

    Where profile and registry both say which meter it must be, that is asked first, and nothing another meter says is
    believed. A meter that gave no answer after its retries is asked no further questions: they fail for the same reason.
    """
    visit = _Visiting(line, dialect, timing, Errand(meter.meter, meter.channel, plan))
    visit.note_unknown(profile, wanted)
    try:
        requests = dialect.requests(profile, meter.address, wanted)
        identity = dialect.identity(profile, meter.address) if meter.serial else None
    except RequestError as error:
        visit.fail(_ids(profile, wanted), "bad_address", str(error), attempts=0)
        return visit.result(meter, ())
    if identity is not None:
        found = await visit.ask(identity)
        if isinstance(found, Answered):
            said = _identity(dialect, profile, found)
            if not _same_serial(said, meter.serial):
                detail = f"the meter says it is {said or 'nobody'}, the registry says {meter.serial}"
                visit.stop("wrong_identity", detail)
        else:
            visit.stop(found.reason, f"its serial could not be read: {found.detail}")
    for request in requests:
        await visit.ask_for_values(request)
    items = dialect.items(profile, [one.exchange for one in visit.answered])
    return visit.result(meter, items)


async def ask(line: Line, dialect: Dialect, requests: Sequence[Request], timing: Timing, meter: Meter) -> Visit:
    """Ask a device of unknown make (`probe`): the questions as they are, and what its protocol says of the answers."""
    visit = _Visiting(line, dialect, timing, Errand(meter.meter, meter.channel))
    for request in requests:
        await visit.ask_for_values(request)
    return visit.result(meter, dialect.items(None, [one.exchange for one in visit.answered]))


class _Visiting:
    """A visit under way."""

    def __init__(self, line: Line, dialect: Dialect, timing: Timing, errand: Errand) -> None:
        self._line, self._dialect, self._timing, self._errand = line, dialect, timing, errand
        self._attempts: list[Attempt] = []
        self._failed: list[Failed] = []
        self.answered: list[Answered] = []
        self._stopped: tuple[str, str] | None = None

    def note_unknown(self, profile: Profile, wanted: Sequence[Wanted]) -> None:
        """What the profile has not is a failure of its own, or it would be missing without a reason."""
        for one in wanted:
            register = profile.find(one.quantity, one.basis)
            if register is None or not 1 <= one.back <= max(1, register.depth):
                what = f"{one.quantity} ({one.basis}" + (f", copy {one.back})" if register else ")")
                self.fail((), "not_in_profile", f"the profile {profile.id} has no {what}", attempts=0)

    async def ask_for_values(self, request: Request) -> None:
        """One of the questions that bring values."""
        if self._stopped is not None:
            self.fail(request.ids, *self._stopped, attempts=0)
            return
        found = await self.ask(request)
        if isinstance(found, Answered):
            self.answered.append(found)
        else:
            self._failed.append(found)
            if rule(found.reason).leave:
                self.stop(found.reason, found.detail)

    async def ask(self, request: Request) -> Answered | Failed:
        """One question and its follow-ups, each with its retries."""
        telegrams: list[Telegram] = []
        asked: Request | None = request
        before = len(self._attempts)
        while asked is not None:
            last = await self._try(asked)
            if last.telegram is None or last.received_at is None:
                return self._failure(request, last.attempt.outcome, last.attempt.detail, before)
            telegrams.append(last.telegram)
            asked = self._dialect.follow_up(request, telegrams)
            if asked is None:
                return Answered(Exchange(request, tuple(telegrams)), last.received_at)
            if len(telegrams) > MOST_FOLLOW_UPS:
                break
        return self._failure(request, "wrong_length", f"more than {MOST_FOLLOW_UPS} frames for one answer", before)

    async def _try(self, request: Request) -> Try:
        for _ in range(self._timing.retries):
            one = await self._line.exchange(self._dialect, request, self._timing, self._errand)
            self._attempts.append(one.attempt)
            if one.telegram is not None or not rule(one.attempt.outcome).again:
                return one
        one = await self._line.exchange(self._dialect, request, self._timing, self._errand)
        self._attempts.append(one.attempt)
        return one

    def stop(self, reason: str, detail: str) -> None:
        """Ask no more: what is left fails for this reason."""
        self._stopped = reason, detail

    def fail(self, ids: tuple[str, ...], reason: str, detail: str, *, attempts: int) -> None:
        """Note a failure."""
        self._failed.append(Failed(ids, reason, rule(reason).owner, detail, attempts))

    def _failure(self, request: Request, reason: str, detail: str, before: int) -> Failed:
        # A LinkError may know the owner better than the table.
        owner = self._attempts[-1].owner if self._attempts[-1].outcome == reason else None
        return Failed(request.ids, reason, owner or rule(reason).owner, detail, len(self._attempts) - before)

    def result(self, meter: Meter, items: Sequence[Item]) -> Visit:
        """As it stands."""
        return Visit(meter, tuple(self._attempts), tuple(self.answered), tuple(items), tuple(self._failed))


def _ids(profile: Profile, wanted: Sequence[Wanted]) -> tuple[str, ...]:
    registers = (profile.find(one.quantity, one.basis) for one in wanted)
    return tuple(register.id for register in registers if register is not None)


def _identity(dialect: Dialect, profile: Profile, found: Answered) -> str:
    """What the meter says it is; "" where the answer holds nothing that can be believed."""
    for item in dialect.items(profile, [found.exchange]):
        if profile.identity is not None and item.id == profile.identity.id and item.value is not None:
            return str(item.value).strip()
    return ""


def _same_serial(said: str, registered: str) -> bool:
    """Equal as text, or as numbers written with another count of leading zeros."""
    registered = registered.strip()
    if said.isdigit() and registered.isdigit():
        return said.lstrip("0") == registered.lstrip("0")
    return said.casefold() == registered.casefold()
