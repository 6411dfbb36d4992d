"""Read success (采集成功率): of the values that were due, how many came; in the first round, and in the end.

Pure: what was due and what the day counters say in, one figure a day and group out. Invariant: expected = final + missing,
always. What is due and neither collected nor noted as missing is missing all the same: a rate that leaves out what nobody tried
is a lie. Rates are cut, never rounded up: 99.996 % is 99.99, and 100.00 means that nothing is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from storage.records import DayCount

METRIC = "read"


@dataclass(frozen=True, slots=True)
class Due:
    """Slots of one data day with the same dimensions whose time has come."""

    day: date
    plan: str
    channel: str
    terminal: str
    area: str
    station: str
    class_: str
    profile: str
    slots: int


@dataclass(frozen=True, slots=True)
class Success:
    """One line of the report. `rate` in percent, two decimals; None where nothing was due. `paused`: left out on purpose."""

    day: date
    by: str
    group: str
    metric: str
    as_of: datetime
    expected: int
    first_round: int
    final: int
    missing: int
    paused: int
    rate: str | None


PROTOCOL = "protocol"
BY: Mapping[str, Callable[[Due | DayCount], str]] = {
    "day": lambda one: one.day.isoformat(),
    "area": lambda one: one.area,
    "station": lambda one: one.station,
    "channel": lambda one: one.channel,
    "profile": lambda one: one.profile,
    "class": lambda one: one.class_,
    "terminal": lambda one: one.terminal,
    "plan": lambda one: one.plan,
}
GROUPINGS = (*BY, PROTOCOL)
"""What success can be reported by; the protocol is that of the channel, which the counters do not know."""


def success(
    due: Iterable[Due],
    counted: Iterable[DayCount],
    *,
    by: str,
    as_of: datetime,
    protocols: Mapping[str, str],
) -> tuple[Success, ...]:
    """The figures by day and group. `protocols`: what each channel speaks. What was asked on demand has no plan and no rate."""
    group = BY[by] if by != PROTOCOL else lambda one: protocols.get(one.channel, "")
    tally: dict[tuple[date, str], _Tally] = {}
    for one in due:
        tally.setdefault((one.day, group(one)), _Tally()).due += one.slots
    for count in counted:
        if count.plan:
            tally.setdefault((count.day, group(count)), _Tally()).count(count)
    return tuple(
        Success(
            day=day,
            by=by,
            group=name,
            metric=METRIC,
            as_of=as_of,
            expected=(found := tally[day, name]).expected,
            first_round=found.first_round,
            final=found.collected,
            missing=found.expected - found.collected,
            paused=0,
            rate=percent(found.collected, found.expected),
        )
        for day, name in sorted(tally)
    )


@dataclass(slots=True)
class _Tally:
    due: int = 0
    collected: int = 0
    first_round: int = 0
    noted: int = 0

    def count(self, one: DayCount) -> None:
        if one.reason:
            self.noted += one.slots
        else:
            self.collected += one.slots
            self.first_round += one.first_round

    @property
    def expected(self) -> int:
        # The registry may have changed since a slot was counted; what was counted then was due then.
        return max(self.due, self.collected + self.noted)


def percent(part: int, whole: int) -> str | None:
    """`part` of `whole` in percent, cut to two decimals."""
    if whole == 0:
        return None
    hundredths = part * 10_000 // whole
    return f"{hundredths // 100}.{hundredths % 100:02d}"
