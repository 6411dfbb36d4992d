"""What is to be thought of a meter's clock, and what may be done about it. Pure: checks, changes and a policy in, verdicts out.

    right     off by no more than the limit
    off       by more, and a broadcast would still be taken
    far       by more than a broadcast may correct: it is set at the meter's own address, or visited
    faulty    off again after two corrections within a month: setting it once more would hide that its crystal or battery is dying

A broadcast (DL/T 645 function 08) is heard by every meter of a line. So it is sent once a day, in an hour in which no plan reads,
and not near a whole hour or midnight, where a step of the clock would repeat or skip a freeze or a tariff's beginning. (`at`
in the middle of a quarter hour, such as 10:22, keeps a step of five minutes within it, so that no curve point is skipped either.)

A meter that sees wrong passwords locks itself, for a day. So after a password that was refused, or whose fate is not known, none
is sent to that meter for a day.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import IntEnum, StrEnum
from zoneinfo import ZoneInfo

from storage.care import ClockChange, ClockCheck, ClockHow
from storage.records import Plan

MONTH = timedelta(days=31)
MOST_CORRECTIONS = 2
PASSWORD_REST = timedelta(hours=24)
QUIET_MINUTES = range(10, 51)
"""Of an hour: at least ten minutes from a whole one."""
BUSY_HOURS = (23, 0)
NEAR_MIDNIGHT = timedelta(minutes=2)
"""The date and the time are written one after the other; between them no day may end."""

OK, SENT, UNCHANGED, WRONG_PASSWORD = "ok", "sent", "unchanged", "wrong_password"
_HARMLESS = frozenset(
    {
        *(OK, SENT, UNCHANGED, "refused", "bad_request", "bad_address", "line_not_silent", "not_online"),
        *("connection_refused", "connection_timeout", "unreachable", "unknown_host"),
        *("no_such_port", "port_in_use", "no_permission", "port_failed"),
    }
)
"""Outcomes after which the meter has certainly not counted a wrong password: it took it, or never saw it."""


class Correct(IntEnum):
    """What may change a meter's clock; each allows what stands before it."""

    NEVER = 0
    COMMAND = 1
    """A person, by `chaobiao clock set`."""
    BROADCAST = 2
    """The daemon, by broadcast."""
    SET = 3
    """The daemon, meter by meter, where a broadcast does not reach."""


class Verdict(StrEnum):
    """See above."""

    RIGHT = "right"
    OFF = "off"
    FAR = "far"
    FAULTY = "faulty"


class Remedy(StrEnum):
    """What would put it right."""

    NONE = "none"
    BROADCAST = "broadcast"
    SET = "set"
    VISIT = "visit"


_REMEDY = {
    Verdict.RIGHT: Remedy.NONE,
    Verdict.OFF: Remedy.BROADCAST,
    Verdict.FAR: Remedy.SET,
    Verdict.FAULTY: Remedy.VISIT,
}


@dataclass(frozen=True, slots=True)
class ClockPolicy:
    """What the configuration says. `reach`: how far off a clock may be for a broadcast to be taken (DL/T 645: five minutes)."""

    limit: timedelta = timedelta(minutes=2)
    correct: Correct = Correct.NEVER
    reach: timedelta = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Standing:
    """A clock as it was last read. `corrections`: of the month before that reading."""

    check: ClockCheck
    verdict: Verdict
    corrections: int

    @property
    def remedy(self) -> Remedy:
        """What would put it right."""
        return _REMEDY[self.verdict]


def stand(check: ClockCheck, changes: Iterable[ClockChange], policy: ClockPolicy) -> Standing:
    """Judge the last check of a meter. `changes`: its own, at least those of the month before."""
    since = check.at - MONTH
    count = sum(since <= one.at <= check.at and _corrects(one, policy) for one in changes)
    off = abs(check.drift)
    if off <= policy.limit:
        verdict = Verdict.RIGHT
    elif count >= MOST_CORRECTIONS:
        verdict = Verdict.FAULTY
    elif off + timedelta(microseconds=check.uncertainty_us) <= policy.reach:
        verdict = Verdict.OFF
    else:
        verdict = Verdict.FAR
    return Standing(check, verdict, count)


def _corrects(change: ClockChange, policy: ClockPolicy) -> bool:
    """A broadcast is heard by clocks that were right, too; and what did not reach its meter corrected nothing."""
    meant = change.before is None or abs(change.before) > policy.limit
    return meant and change.outcome in (OK, SENT, UNCHANGED)


def password_rests_until(changes: Iterable[ClockChange], now: datetime) -> datetime | None:
    """Until when a meter may see no password, after one that was refused or whose fate is not known."""
    doubtful = [one.at for one in changes if one.how is ClockHow.SET and one.outcome not in _HARMLESS]
    until = max(doubtful, default=now - PASSWORD_REST) + PASSWORD_REST
    return until if until > now else None


def may_broadcast(now: datetime, zone: ZoneInfo, plans: Iterable[Plan]) -> bool:
    """Whether this is an instant at which a line may be told the time."""
    local = now.astimezone(zone)
    hours = {plan.at_minute // 60 for plan in plans if plan.at_minute is not None}
    return local.minute in QUIET_MINUTES and local.hour not in BUSY_HOURS and local.hour not in hours


def told_today(changes: Iterable[ClockChange], now: datetime, zone: ZoneInfo) -> bool:
    """Whether one of these is a broadcast of this civil day; one that was interrupted may have been heard."""
    today = now.astimezone(zone).date()
    return any(one.how is ClockHow.BROADCAST and one.at.astimezone(zone).date() == today for one in changes)


def near_midnight(now: datetime, zone: ZoneInfo) -> bool:
    """Whether a day might end between the writing of a date and of a time."""
    local = now.astimezone(zone)
    before, after = local - NEAR_MIDNIGHT, local + NEAR_MIDNIGHT
    return before.date() != after.date()


def to_be_told(standings: Sequence[Standing]) -> tuple[Standing, ...]:
    """Those of a line for whose sake it is told the time."""
    return tuple(one for one in standings if one.remedy is Remedy.BROADCAST)


def stamp_for(now: datetime, latency: timedelta, zone: ZoneInfo) -> datetime:
    """What to write so that a clock with whole seconds stands right when it hears of it `latency` from now."""
    return (now + latency + timedelta(microseconds=500_000)).astimezone(zone).replace(microsecond=0, tzinfo=None)


def nearest(shown: datetime, zone: ZoneInfo, now: datetime) -> datetime:
    """The instant that a meter's clock means; of an hour that the zone has twice, the one nearer to ours."""
    folds = (shown.replace(tzinfo=zone, fold=fold).astimezone(now.tzinfo) for fold in (0, 1))
    return min(folds, key=lambda one: abs(one - now))


def needs_date_again(shown: time, elapsed: timedelta) -> bool:
    """Whether the day may have ended between the question for the date and that for the time."""
    since_midnight = timedelta(hours=shown.hour, minutes=shown.minute, seconds=shown.second)
    return since_midnight <= elapsed + timedelta(seconds=2)
