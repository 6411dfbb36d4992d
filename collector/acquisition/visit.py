"""A visit: everything one meter is asked in one go, with retries, and what became of each question.

A visit knows no slots and judges no values. Invariant: every question ends either among `answered` or among `failed`, and every
value wanted has either an answer or a reason; nothing is dropped in silence.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
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

MOST_FRAMES = 256
"""Of one answer: the first and as many follow-ups as one byte can number (DL/T 645)."""


GiveWay = Callable[[], Awaitable[None]]
"""Let others have the line who cannot wait for the end of a visit; return when they have had it."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A question without an answer. `ids`: the profile's ids that it would have brought. `attempts`: tries until it was given
    up; for a question that was not even `asked`, those of the one that ended the visit.
    """

    ids: tuple[str, ...]
    reason: str
    owner: Owner
    detail: str
    attempts: int
    asked: bool = True


@dataclass(frozen=True, slots=True)
class Answered:
    """One whole answer, follow-ups included, and the instant its last frame arrived."""

    exchange: Exchange
    received_at: datetime


@dataclass(frozen=True)
class Visit:
    """What a meter was asked and what it said. `attempts` has every try, those that a retry made good included.

    `read`: takes the answers apart; done once, when somebody asks for the items.
    """

    meter: Meter
    attempts: tuple[Attempt, ...]
    answered: tuple[Answered, ...]
    read: Callable[[], tuple[Item, ...]]
    failed: tuple[Failed, ...]

    @cached_property
    def items(self) -> tuple[Item, ...]:
        """What the answers say, in the protocol's words."""
        return self.read()

    def arrivals(self) -> Iterator[tuple[datetime, tuple[Item, ...]]]:
        """Items by the instant at which their answer arrived; what no request names belongs to the last answer."""
        when = {id_: one.received_at for one in self.answered for id_ in one.exchange.request.ids}
        for at, items in groupby(self.items, key=lambda item: when.get(item.id, self.answered[-1].received_at)):
            yield at, tuple(items)

    def failure(self, id_: str) -> Failed | None:
        """Why a register of the profile has no answer. (An answer that makes no sense is an item with a reason of its own.)"""
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
    later: bool = False,
    give_way: GiveWay | None = None,
) -> Visit:
    """Ask one meter for all that is wanted. `later`: a meter that has given nothing yet is not asked again in this visit, but
    at the end of the round, and that is the caller's affair. `give_way`: called between two questions.

    Where profile and registry both say which meter it must be, that is asked first, and nothing another meter says is
    believed. A meter that gave no answer after its retries is asked no further questions: they fail for the same reason.
    """
    visit = _Visiting(line, dialect, timing, Errand(meter.meter, meter.channel, plan), later=later, give_way=give_way)
    visit.failed += _unknown(profile, wanted)
    try:
        requests = dialect.requests(profile, meter.address, wanted)
        identity = dialect.identity(profile, meter.address) if meter.serial else None
    except RequestError as error:
        every = tuple(register.id for one in wanted if (register := profile.find(one.quantity, one.basis)))
        visit.failed.append(Failed(every, "bad_address", rule("bad_address").owner, str(error), 0))
        return visit.result(meter, profile)
    if identity is not None and requests:
        await _identify(visit, profile, meter, identity)
    for request in requests:
        await visit.ask_for_values(request)
    return visit.result(meter, profile)


async def ask_unknown(
    line: Line, dialect: Dialect, requests: Sequence[Request], timing: Timing, meter: Meter, *, plan: str = ""
) -> Visit:
    """Ask without a profile (a device of unknown make, a clock): the questions as they are, and what its protocol says of the
    answers.
    """
    visit = _Visiting(line, dialect, timing, Errand(meter.meter, meter.channel, plan))
    for request in requests:
        await visit.ask_for_values(request)
    return visit.result(meter, None)


async def _identify(visit: _Visiting, profile: Profile, meter: Meter, identity: Request) -> None:
    """End the visit unless the meter says it is the one that the registry has here."""
    found = await visit.ask(identity)
    if isinstance(found, Failed):
        visit.stop(replace(found, detail=f"its serial could not be read: {found.detail}"))
        return
    said = ""
    for item in visit.dialect.items(profile, [found.exchange]):
        if profile.identity is not None and item.id == profile.identity.id and item.value is not None:
            said = str(item.value).strip()
    if not _same_serial(said, meter.serial):
        detail = f"the meter says it is {said or 'nobody'}, the registry says {meter.serial}"
        visit.stop(Failed((), "wrong_identity", rule("wrong_identity").owner, detail, visit.tries))


class _Visiting:
    """A visit under way."""

    def __init__(
        self,
        line: Line,
        dialect: Dialect,
        timing: Timing,
        errand: Errand,
        *,
        later: bool = False,
        give_way: GiveWay | None = None,
    ) -> None:
        self._line, self.dialect, self._timing, self._errand = line, dialect, timing, errand
        self._later = later
        self._give_way = give_way
        self._attempts: list[Attempt] = []
        self._stopped: Failed | None = None
        self.answered: list[Answered] = []
        self.failed: list[Failed] = []

    @property
    def tries(self) -> int:
        """So far."""
        return len(self._attempts)

    async def ask_for_values(self, request: Request) -> None:
        """One of the questions that bring values; not asked any more once the visit has been stopped."""
        if self._stopped is not None:
            self.failed.append(replace(self._stopped, ids=request.ids, asked=self._stopped.ids == ()))
            return
        found = await self.ask(request)
        if isinstance(found, Answered):
            self.answered.append(found)
            return
        self.failed.append(found)
        if rule(found.reason).leave:
            self.stop(found)

    async def ask(self, request: Request) -> Answered | Failed:
        """One question and its follow-ups, each with its retries."""
        if self._give_way is not None and self._attempts:
            await self._give_way()
        telegrams: list[Telegram] = []
        asked: Request | None = request
        before = self.tries
        while asked is not None:
            last = await self._try(asked)
            if last.telegram is None or last.received_at is None:
                attempt = last.attempt
                owner = attempt.owner or rule(attempt.outcome).owner
                return Failed(request.ids, attempt.outcome, owner, attempt.detail, self.tries - before)
            telegrams.append(last.telegram)
            asked = self.dialect.follow_up(request, telegrams) if len(telegrams) < MOST_FRAMES else None
            if asked is None and not last.telegram.more:
                return Answered(Exchange(request, tuple(telegrams)), last.received_at)
        detail = f"no end after {len(telegrams)} frames of one answer"
        return Failed(request.ids, "wrong_length", rule("wrong_length").owner, detail, self.tries - before)

    async def _try(self, request: Request) -> Try:
        left = self._timing.retries
        while True:
            one = await self._line.exchange(self.dialect, request, self._timing, self._errand)
            self._attempts.append(one.attempt)
            if one.telegram is not None:
                self._later = False
                return one
            if (
                left == 0
                or not rule(one.attempt.outcome).again
                or (self._later and not rule(one.attempt.outcome).cheap)
            ):
                return one
            left -= 1

    def stop(self, why: Failed) -> None:
        """Ask no more: what is left fails for this reason."""
        self._stopped = why

    def result(self, meter: Meter, profile: Profile | None) -> Visit:
        """As it stands; no more is asked."""
        return Visit(
            meter,
            tuple(self._attempts),
            tuple(self.answered),
            lambda: self.dialect.items(profile, [one.exchange for one in self.answered]),
            tuple(self.failed),
        )


def _unknown(profile: Profile, wanted: Sequence[Wanted]) -> Iterator[Failed]:
    """What the profile has not is left out of the questions; it has a reason all the same."""
    for one in wanted:
        register = profile.find(one.quantity, one.basis)
        if register is None or not 1 <= one.back <= register.depth:
            detail = f"the profile {profile.id} has no {one.quantity} ({one.basis}, copy {one.back})"
            yield Failed((register.id,) if register else (), "not_in_profile", rule("not_in_profile").owner, detail, 0)


def _same_serial(said: str, registered: str) -> bool:
    """Equal as text, or as numbers written with another count of leading zeros."""
    registered = registered.strip()
    if said.isdigit() and registered.isdigit():
        return said.lstrip("0") == registered.lstrip("0")
    return said.casefold() == registered.casefold()
