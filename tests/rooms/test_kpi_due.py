"""What was due, counted: the same as slot by slot."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from collector.acquisition.plan import owed
from collector.jobs.due import count_due
from storage.days import data_day
from storage.records import Basis, Plan, PlanVersion
from storage.registry import Installation, Meter, Point, Registered

SPRING = datetime(2026, 3, 27, tzinfo=UTC)
"""Two days before the clocks of Berlin go forward."""
INSTANTS = st.integers(0, 6 * 24 * 60).map(lambda minutes: SPRING + timedelta(minutes=minutes))
PLANS = st.builds(
    Plan,
    name=st.sampled_from(["a", "b"]),
    read=st.sampled_from([("e",), ("e", "v"), ("none",)]),
    basis=st.just(Basis.INSTANT),
    every_s=st.sampled_from([900, 3600, 7000]),
    areas=st.sampled_from([(), ("north",)]),
) | st.builds(
    Plan,
    name=st.sampled_from(["f", "g"]),
    read=st.sampled_from([("e",), ("e", "v")]),
    basis=st.just(Basis.FREEZE),
    at_minute=st.integers(0, 1439),
    profiles=st.sampled_from([(), ("p",)]),
)
VERSIONS = st.lists(st.builds(PlanVersion, PLANS, INSTANTS, st.none() | INSTANTS), max_size=4)


def stands(meter: str, profile: str, area: str, start: datetime, end: datetime | None) -> Registered:
    return Registered(
        Meter(meter, profile, "bus", meter), Point(meter, area=area), Installation(meter, meter, start, end)
    )


METERS = st.tuples(
    st.builds(stands, st.just("m1"), st.just("p"), st.just("north"), INSTANTS, st.none() | INSTANTS),
    st.builds(stands, st.just("m2"), st.just("q"), st.just("south"), INSTANTS, st.none() | INSTANTS),
)


def gives(profile: str, quantity: str, basis: Basis) -> bool:
    return quantity == "e" or (quantity == "v" and profile == "p")


@given(VERSIONS, METERS, INSTANTS, INSTANTS, st.sampled_from(["Europe/Berlin", "Asia/Shanghai"]))
def test_counted_is_made(
    versions: list[PlanVersion], meters: tuple[Registered, ...], start: datetime, end: datetime, zone_name: str
) -> None:
    zone = ZoneInfo(zone_name)
    made = Counter(
        (data_day(one.slot.at, one.slot.basis, zone), one.slot.plan, one.slot.meter)
        for one in owed(versions, meters, start, end, zone=zone, gives=gives)
    )
    assert count_due(versions, meters, start, end, zone=zone, gives=gives) == made
