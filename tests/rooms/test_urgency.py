"""The order in which a line is served: reading days first, whatever is read on them; the rest by its basis."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from collector.acquisition.urgency import Urgency, urgency_of
from storage.days import day_start
from storage.records import Basis, Slot
from storage.registry import Registered
from tests.rooms.configurations import SMALL, settings
from tests.rooms.plans import ENERGY, SHANGHAI, shanghai, standing

GROUPS = {"homes": 1, "works": 25}
FIRST, MIDNIGHT = shanghai(2026, 3, 1), shanghai(2026, 3, 25)


def member(group: str) -> Registered:
    one = standing()
    return replace(one, point=replace(one.point, billing_group=group))


def urgency(
    group: str, at: datetime, *, basis: Basis = Basis.FREEZE, quantity: str = ENERGY, plan: str = "p"
) -> Urgency:
    return urgency_of(Slot(plan, "m1", quantity, basis, at), member(group), GROUPS, SHANGHAI)


@pytest.mark.parametrize("basis", list(Basis))
def test_the_register_of_a_reading_day_outranks_all_others_on_whatever_basis(basis: Basis) -> None:
    assert urgency("works", MIDNIGHT, basis=basis) is Urgency.READING_DAY
    assert urgency("homes", MIDNIGHT, basis=basis) > Urgency.READING_DAY
    assert urgency("homes", FIRST, basis=basis) is Urgency.READING_DAY
    assert urgency("works", FIRST, basis=basis) > Urgency.READING_DAY


def test_a_point_without_a_group_or_of_one_that_has_gone_reads_on_the_first() -> None:
    for group in ("", "gone"):
        assert urgency(group, FIRST) is Urgency.READING_DAY
        assert urgency(group, MIDNIGHT) is Urgency.FREEZE


def test_only_what_is_billed_and_only_at_midnight() -> None:
    assert urgency("homes", FIRST, quantity="1-0:16.7.0", basis=Basis.INSTANT) is Urgency.CURVE
    assert urgency("homes", FIRST, quantity="1-0:16.8.0") is Urgency.FREEZE, "a register that may fall is not billed"
    assert urgency("homes", FIRST + timedelta(minutes=15), basis=Basis.CURVE) is Urgency.CURVE
    assert urgency("homes", FIRST, quantity="clock", basis=Basis.INSTANT) is Urgency.CARE
    assert urgency("homes", FIRST, plan="") is Urgency.ON_DEMAND


def test_a_midnight_that_the_clocks_skip_is_one() -> None:
    havana = ZoneInfo("America/Havana")
    skipped = day_start(date(2026, 3, 8), havana)
    assert skipped.astimezone(havana).hour == 1
    slot = Slot("p", "m1", ENERGY, Basis.FREEZE, skipped)
    assert urgency_of(slot, member("works"), {"works": 8}, havana) is Urgency.READING_DAY


def test_the_configuration_says_which_days() -> None:
    text = SMALL.replace('name = "homes"', 'name = "homes"\nday = 7\n[[billing.group]]\nname = "works"')
    assert settings(text).reading_days == {"homes": 7, "works": 1}
    assert settings(SMALL.partition("[billing]")[0]).reading_days == {}
