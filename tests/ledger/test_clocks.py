"""Clocks: what was read of them, and an audit that is written before the change and cannot be written twice."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from storage.care import ClockChange, ClockCheck, ClockHow, Occasion
from storage.errors import AuditRefused
from storage.ledger.port import Ledger
from storage.records import Batch
from tests.ledger.ledgers import at

MINUTE = timedelta(minutes=1)


def check(hour: int, drift: timedelta = timedelta(), meter: str = "m1", *, microseconds: int = 0) -> ClockCheck:
    our = at(hour, microseconds)
    return ClockCheck(meter, our, our + drift, 40_000, Occasion.PLAN)


def change(hour: int, meter: str = "m1", how: ClockHow = ClockHow.SET) -> ClockChange:
    return ClockChange(meter, at(hour), how, "village-1", "li", "off by three minutes", before=3 * MINUTE)


def ended(begun: ClockChange, outcome: str = "ok", after: timedelta | None = timedelta(seconds=1)) -> ClockChange:
    return replace(begun, outcome=outcome, detail="said so", ended_at=begun.at + MINUTE, after=after)


async def test_checks_come_by_meter_and_time(ledger: Ledger) -> None:
    checks = (check(2), check(1, -MINUTE), check(1, meter="a"))
    await ledger.append(Batch(clock_checks=checks))
    assert await ledger.clock_checks() == (checks[2], checks[1], checks[0])
    assert await ledger.clock_checks(meters=["m1"], since=at(2)) == (checks[0],)
    assert checks[1].drift == -MINUTE


async def test_checks_are_found_by_what_the_meter_showed(ledger: Ledger) -> None:
    """A clock a year behind shows times of last year: that is where its readings are."""
    lost = check(1, -timedelta(days=365))
    await ledger.append(Batch(clock_checks=(lost, check(2))))
    long_ago = at(1) - timedelta(days=365)
    assert await ledger.clock_checks(shown=(long_ago, long_ago + MINUTE)) == (lost,)
    assert await ledger.clock_checks(shown=(long_ago - MINUTE, long_ago)) == ()


async def test_the_latest_check_of_each(ledger: Ledger) -> None:
    newest = check(3, MINUTE)
    await ledger.append(Batch(clock_checks=(check(1), newest)))
    await ledger.append(Batch(clock_checks=(check(2), check(1, meter="a"))))
    assert await ledger.last_clock_checks() == (check(1, meter="a"), newest)


async def test_a_change_is_there_before_it_has_ended(ledger: Ledger) -> None:
    begun = change(1)
    await ledger.begin_clock_changes([begun])
    assert await ledger.clock_changes() == (begun,)
    await ledger.end_clock_changes([ended(begun)])
    assert await ledger.clock_changes() == (ended(begun),)


async def test_the_audit_says_nothing_twice(ledger: Ledger) -> None:
    begun = change(1)
    await ledger.begin_clock_changes([begun, change(1, "m2", ClockHow.BROADCAST)])
    with pytest.raises(AuditRefused, match="written down already"):
        await ledger.begin_clock_changes([change(2), begun])
    with pytest.raises(AuditRefused, match="written down already"):
        await ledger.begin_clock_changes([change(2), change(2)])
    assert len(await ledger.clock_changes()) == 2
    await ledger.end_clock_changes([ended(begun)])
    await ledger.end_clock_changes([ended(begun)])
    with pytest.raises(AuditRefused, match="has ended already"):
        await ledger.end_clock_changes([ended(begun, "refused", None)])
    with pytest.raises(AuditRefused, match="was begun"):
        await ledger.end_clock_changes([ended(change(1, "m2"), "refused"), ended(change(5))])
    assert [one.outcome for one in await ledger.clock_changes()] == ["ok", ""]


async def test_an_end_cannot_rewrite_the_beginning(ledger: Ledger) -> None:
    begun = change(1)
    await ledger.begin_clock_changes([begun])
    await ledger.end_clock_changes([replace(ended(begun), before=None)])
    (stored,) = await ledger.clock_changes()
    assert stored.before == 3 * MINUTE


async def test_changes_are_chosen_by_meter_and_time(ledger: Ledger) -> None:
    changes = [change(1), change(2), change(1, "m2")]
    await ledger.begin_clock_changes(changes)
    assert await ledger.clock_changes(meters=["m1"]) == tuple(changes[:2])
    assert await ledger.clock_changes(since=at(2)) == (changes[1],)


async def test_times_are_utc(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="is not in UTC"):
        await ledger.append(Batch(clock_checks=(replace(check(1), shown=datetime(2026, 3, 14)),)))  # noqa: DTZ001 - the mistake
