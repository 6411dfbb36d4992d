"""What slots cost a line: which questions they come to, how long those are, and so how many seconds a visit takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from collector.acquisition.breaker import LONGEST
from collector.acquisition.forecast import Waiting
from collector.acquisition.pace import Pace, Question
from collector.acquisition.serial_link import byte_s
from collector.jobs.collect import Route
from collector.settings.schema import Channel
from protocols.dialect import Dialect, Wanted
from protocols.errors import RequestError
from protocols.profile import Profile
from protocols.telegram import Request
from storage.exchanged import Exchanged
from storage.records import WORDS, Basis, Slot
from storage.registry import Registered

OF_A_WORD = Question(16, 24)
"""For clock, status or events: one short question each, near enough."""
SERIAL = ("serial", "rfc2217")
"""Links whose URL says how fast bytes go."""
_Asked = tuple[str, str, bool, tuple[Wanted, ...], int]
"""Channel, profile, whether it must say who it is, what is wanted, and how many words."""


def pace_of(channel: Channel, route: Route, past: Iterable[Exchanged]) -> Pace:
    """Of the line that a channel is on."""
    speed = byte_s(channel.link.line) if channel.link.scheme in SERIAL else 0.0
    return Pace(speed, route.timing, past, streaming=route.dialect.streaming)


class Costs:
    """Of the meters of one line. Meters of one make on one channel are asked alike: their questions are made once."""

    def __init__(
        self,
        pace: Pace,
        routes: Mapping[str, Route],
        profiles: Mapping[str, Profile],
        zone: ZoneInfo,
        meters: Mapping[str, Registered],
    ) -> None:
        self._pace = pace
        self._routes = routes
        self._profiles = profiles
        self._zone = zone
        self._meters = meters
        self._made: dict[_Asked, tuple[Question, ...]] = {}
        self._rests = {meter: until for meter in meters if (until := pace.rests_until(meter)) is not None}

    def of(self, meter: str, waiting: Sequence[Waiting], now: datetime) -> float:
        """Seconds of the visit that asks for all this; a meter that is left alone is tried now and then."""
        if (until := self._rests.get(meter)) is not None:
            if now < until:
                return 0.0
            self._rests[meter] = now + LONGEST
        return self._pace.visit(meter, self._questions(self._meters[meter], [one.owed.slot for one in waiting]))

    def _questions(self, one: Registered, slots: Sequence[Slot]) -> tuple[Question, ...]:
        newest = max(slot.at for slot in slots).astimezone(self._zone).date()
        wanted: dict[Wanted, None] = {}
        words = 0
        for slot in slots:
            if slot.quantity in WORDS:
                words += 1
                continue
            days = (newest - slot.at.astimezone(self._zone).date()).days if slot.basis is Basis.FREEZE else 0
            wanted[Wanted(slot.quantity, slot.basis, 1 + days)] = None
        asked = (one.meter.channel, one.meter.profile, bool(one.meter.serial), tuple(wanted), words)
        if asked not in self._made:
            self._made[asked] = (*self._read(one, tuple(wanted)), *[OF_A_WORD] * words)
        return self._made[asked]

    def _read(self, one: Registered, wanted: Sequence[Wanted]) -> list[Question]:
        dialect = self._routes[one.meter.channel].dialect
        profile = self._profiles[one.meter.profile]
        try:
            requests = dialect.requests(profile, one.meter.address, wanted)
            identity = dialect.identity(profile, one.meter.address) if one.meter.serial and requests else None
            return [_question(dialect, request) for request in (identity, *requests) if request is not None]
        except RequestError:  # it fails before anything is sent
            return []


def _question(dialect: Dialect, request: Request) -> Question:
    return Question(len(dialect.session().send(request)), dialect.answer_size(request))
