"""When a group's registers go out."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from collector.billing.groups import MONTHS_BACK, ReadingDay, released_instants

SHANGHAI = ZoneInfo("Asia/Shanghai")
HOMES = ReadingDay("homes", 1, timedelta(days=4))
MARCH = datetime(2026, 3, 1, tzinfo=SHANGHAI).astimezone(UTC)


def instants(*groups: ReadingDay, now: datetime) -> dict[str, frozenset[datetime]]:
    return released_instants(groups, now=now, zone=SHANGHAI)


def test_a_reading_day_goes_out_from_its_release_on() -> None:
    release = datetime(2026, 3, 5, tzinfo=SHANGHAI)
    assert MARCH not in instants(HOMES, now=release - timedelta(seconds=1))["homes"]
    assert MARCH in instants(HOMES, now=release)["homes"]


def test_only_midnights_of_the_reading_day_go_out() -> None:
    found = instants(HOMES, now=datetime(2026, 3, 20, tzinfo=UTC))["homes"]
    local = {instant.astimezone(SHANGHAI) for instant in found}
    assert {(one.day, one.hour, one.minute) for one in local} == {(1, 0, 0)}
    assert max(local) == datetime(2026, 3, 1, tzinfo=SHANGHAI)
    assert len(found) == MONTHS_BACK


def test_groups_have_days_of_their_own() -> None:
    shops = ReadingDay("shops", 15, timedelta(0))
    found = instants(HOMES, shops, now=datetime(2026, 1, 14, 17, tzinfo=UTC))
    assert max(found["shops"]) == datetime(2026, 1, 15, tzinfo=SHANGHAI)
    assert max(found["homes"]) == datetime(2026, 1, 1, tzinfo=SHANGHAI)


def test_the_first_of_next_month_is_released_by_a_release_before_it() -> None:
    early = ReadingDay("early", 1, timedelta(days=-1))
    assert max(instants(early, now=datetime(2026, 3, 31, 12, tzinfo=UTC))["early"]) == datetime(
        2026, 4, 1, tzinfo=SHANGHAI
    )


def test_no_group_no_limits() -> None:
    assert instants(now=MARCH) == {}
