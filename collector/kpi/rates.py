"""The rates of operations, each by its own name (DESIGN §7): read, all_items, curve, reading_day, message, coverage.

    read         采集成功率    meters with the total import freeze of the data day ÷ meters that owed it
    all_items    全项采集成功率 meters with every freeze and settlement copy of the data day ÷ meters that owed any
    curve        曲线完整率    values at grid instants that are stored ÷ those that were due
    reading_day  例日成功率    as read, of meters whose billing group bills this very freeze
    message      通信成功率    exchanges that ended with their own answer ÷ exchanges
    coverage     采集覆盖率    points that some plan reads over a channel ÷ points with a meter

Pure: denominators, counts and tries in, one figure a day and group out. What was left out on purpose (`paused`) is neither in
the denominator nor in the numerator and is always shown beside them. Invariant: expected = final + missing. A sum over days
is Σ/Σ, never a mean of rates. Rates are cut, never rounded up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from collector.kpi.success import Success, percent
from storage.dues import Counted, MeterDay, Tried


class Metric(StrEnum):
    """What a rate says."""

    READ = "read"
    ALL_ITEMS = "all_items"
    CURVE = "curve"
    READING_DAY = "reading_day"
    MESSAGE = "message"
    COVERAGE = "coverage"


@dataclass(frozen=True, slots=True)
class Day:
    """All that is known of one data day as of an instant. Each of the counts is by meter."""

    day: date
    as_of: datetime
    dues: Sequence[MeterDay]
    totals: Mapping[str, Counted]
    """Of the total import freeze."""
    freezes: Mapping[str, Counted]
    """Of freezes and settlement copies, that one included."""
    points: Mapping[str, Counted]
    tries: Sequence[Tried] = ()


@dataclass(frozen=True, slots=True)
class Share:
    """What one meter adds to a rate."""

    expected: int
    first_round: int
    final: int
    paused: int = 0


_NOTHING = Counted("", 0, 0)


def _read(due: MeterDay, day: Day) -> Share:
    got = day.totals.get(due.meter, _NOTHING)
    if due.paused_total or not due.total:
        return Share(0, 0, 0, paused=int(due.paused_total))
    return Share(1, int(got.first_round > 0), int(got.slots > 0))


def _reading_day(due: MeterDay, day: Day) -> Share:
    return _read(due, day) if due.reading_day else Share(0, 0, 0)


def _all_items(due: MeterDay, day: Day) -> Share:
    got = day.freezes.get(due.meter, _NOTHING)
    expected = due.freezes - due.paused_freezes
    if not expected:
        return Share(0, 0, 0, paused=int(due.paused_freezes > 0))
    return Share(1, int(got.first_round >= expected), int(got.slots >= expected))


def _curve(due: MeterDay, day: Day) -> Share:
    got = day.points.get(due.meter, _NOTHING)
    expected = due.points - due.paused_points
    return Share(expected, min(expected, got.first_round), min(expected, got.slots), due.paused_points)


def _coverage(due: MeterDay, _: Day) -> Share:
    return Share(1, int(due.automatic), int(due.automatic))


SHARES: Mapping[Metric, Callable[[MeterDay, Day], Share]] = {
    Metric.READ: _read,
    Metric.ALL_ITEMS: _all_items,
    Metric.CURVE: _curve,
    Metric.READING_DAY: _reading_day,
    Metric.COVERAGE: _coverage,
}
"""What a meter owed → what it adds; messages are counted by exchange, not by what was owed."""

Key = Callable[[MeterDay], str]
BY: Mapping[str, Key] = {
    "day": lambda one: one.day.isoformat(),
    "month": lambda one: f"{one.day:%Y-%m}",
    "area": lambda one: one.area,
    "station": lambda one: one.station,
    "terminal": lambda one: one.terminal,
    "channel": lambda one: one.channel,
    "class": lambda one: one.class_,
    "profile": lambda one: one.profile,
}
PROTOCOL, MAKER = "protocol", "maker"
GROUPINGS = (*BY, PROTOCOL, MAKER)
"""What a rate can be reported by; what a channel speaks and who made a meter the denominators do not know."""


def grouping(by: str, protocols: Mapping[str, str], makers: Mapping[str, str]) -> Key:
    """`protocols` by channel, `makers` by profile."""
    if by == PROTOCOL:
        return lambda one: protocols.get(one.channel, "")
    if by == MAKER:
        return lambda one: makers.get(one.profile, "")
    return BY[by]


def rates(days: Iterable[Day], metrics: Sequence[Metric], *, by: str, key: Key, summed: bool) -> tuple[Success, ...]:
    """A line a metric, day and group (`summed`: Σ/Σ over the days, a line a metric and group), in this order; where nothing
    was due and nothing paused there is no line.
    """
    tallies: dict[tuple[int, date, str], _Tally] = {}
    first: date | None = None
    for day in days:
        first = first or day.day
        for place, metric in enumerate(metrics):
            for group, share in _shares(metric, day, key):
                at = date(day.day.year, day.day.month, 1) if by == "month" else first if summed else day.day
                tally = tallies.setdefault((place, at, group), _Tally(day.as_of))
                tally.add(share, day.as_of)
    return tuple(
        tally.line(at, by, group, metrics[place])
        for (place, at, group), tally in sorted(tallies.items())
        if tally.expected or tally.paused
    )


def _shares(metric: Metric, day: Day, key: Key) -> Iterable[tuple[str, Share]]:
    if metric is not Metric.MESSAGE:
        share = SHARES[metric]
        return ((key(due), share(due, day)) for due in day.dues)
    known = {due.meter: due for due in day.dues}
    nobody = MeterDay(day.day, "", "")
    return (
        (key(_over(known.get(one.meter, nobody), one.channel)), Share(one.tries, one.answers, one.answers))
        for one in day.tries
    )


def _over(due: MeterDay, channel: str) -> MeterDay:
    """The same meter; an exchange counts for the channel that it went over."""
    return (
        due
        if due.channel == channel
        else MeterDay(
            due.day, due.meter, due.point, channel, due.terminal, due.area, due.station, due.class_, due.profile
        )
    )


@dataclass(slots=True)
class _Tally:
    as_of: datetime
    expected: int = 0
    first_round: int = 0
    final: int = 0
    paused: int = 0

    def add(self, share: Share, as_of: datetime) -> None:
        self.as_of = max(self.as_of, as_of)
        self.expected += share.expected
        self.first_round += share.first_round
        self.final += share.final
        self.paused += share.paused

    def line(self, day: date, by: str, group: str, metric: Metric) -> Success:
        return Success(
            day=day,
            by=by,
            group=group,
            metric=metric,
            as_of=self.as_of,
            expected=self.expected,
            first_round=self.first_round,
            final=self.final,
            missing=self.expected - self.final,
            paused=self.paused,
            rate=percent(self.final, self.expected),
        )
