"""What was due, counted: the same as slot by slot."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from collector.acquisition.plan import owed
from collector.jobs.due import count_due
from storage.days import data_day
from storage.records import WORDS, Basis, Plan, PlanVersion
from storage.registry import Installation, Meter, Point, Registered

ZONES = {
    "Europe/Berlin": [datetime(2026, 3, 27, tzinfo=UTC), datetime(2026, 10, 23, tzinfo=UTC)],
    "Australia/Lord_Howe": [datetime(2026, 4, 2, tzinfo=UTC), datetime(2026, 10, 1, tzinfo=UTC)],
    "Asia/Shanghai": [datetime(2028, 2, 26, tzinfo=UTC), datetime(2099, 12, 29, tzinfo=UTC)],
}
"""Six days from each: the clocks go forward and back, a leap day, the end of a month, of a year, of a century."""
INSTANTS = st.integers(0, 6 * 24 * 60).map(lambda minutes: timedelta(minutes=minutes))
SPANS = st.sampled_from([None, 60, 3600, 6 * 3600])
MORE = {
    "areas": st.sampled_from([(), ("north",)]),
    "stations": st.sampled_from([(), ("east",)]),
    "profiles": st.sampled_from([(), ("p",)]),
    "window_s": SPANS,
    "jitter_s": st.sampled_from([0, 120, 7200]),
    "cutoff_minute": st.sampled_from([None, 480]),
}
PLANS = st.one_of(
    st.builds(
        Plan,
        name=st.sampled_from(["a", "b"]),
        read=st.sampled_from([("e",), ("e", "v"), ("none",), ("clock",), ("e", "clock", "status")]),
        every_s=st.sampled_from([900, 3600, 7000]),
        **MORE,
    ),
    st.builds(
        Plan,
        name=st.just("c"),
        read=st.sampled_from([("e",), ("e", "v")]),
        basis=st.just(Basis.CURVE),
        every_s=st.sampled_from([900, 3600]),
        **MORE,
    ),
    st.builds(
        Plan,
        name=st.sampled_from(["f", "g"]),
        read=st.sampled_from([("e",), ("e", "v")]),
        basis=st.sampled_from([Basis.FREEZE, Basis.SETTLEMENT]),
        at_minute=st.integers(0, 1439),
        days=st.sampled_from([(), (1,), (1, 11, 28)]),
        **MORE,
    ),
    st.builds(Plan, name=st.just("w"), read=st.just(("clock", "events")), at_minute=st.integers(0, 1439), **MORE),
)
VERSIONS = st.lists(st.tuples(PLANS, INSTANTS, st.none() | INSTANTS), max_size=4)
Stay = tuple[str, str, str, str, timedelta, timedelta | None]


METERS = st.tuples(
    st.tuples(st.just("m1"), st.just("p"), st.just("north"), st.just("east"), INSTANTS, st.none() | INSTANTS),
    st.tuples(st.just("m2"), st.just("q"), st.just("south"), st.just("west"), INSTANTS, st.none() | INSTANTS),
)


def gives(profile: str, quantity: str, basis: Basis) -> bool:
    if quantity in WORDS:
        return basis is Basis.INSTANT and (profile, quantity) != ("q", "events")
    return quantity == "e" or (quantity == "v" and profile == "p")


@given(VERSIONS, METERS, INSTANTS, INSTANTS, st.sampled_from([*ZONES]), st.sampled_from([0, 1]))
def test_counted_is_made(
    kept: list[tuple[Plan, timedelta, timedelta | None]],
    stays: tuple[Stay, ...],
    first: timedelta,
    last: timedelta,
    zone_name: str,
    which: int,
) -> None:
    zone, since = ZoneInfo(zone_name), ZONES[zone_name][which]
    start, end = since + first, since + last
    versions = [PlanVersion(plan, since + of, None if to is None else since + to) for plan, of, to in kept]
    meters = [
        Registered(
            Meter(meter, profile, "bus", meter),
            Point(meter, area=area, station=station),
            Installation(meter, meter, since + of, None if to is None else since + to),
        )
        for meter, profile, area, station, of, to in stays
    ]
    made = Counter(
        (data_day(one.slot.at, one.slot.basis, zone), one.slot.plan, one.slot.meter)
        for one in owed(versions, meters, start, end, zone=zone, gives=gives)
    )
    assert count_due(versions, meters, start, end, zone=zone, gives=gives) == made
