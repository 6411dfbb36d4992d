"""The physical meter: what it shows agrees with itself, at midnight and with its faults."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.faults import Fault, FaultKind, spoilt
from simulators.load import Load
from simulators.meter import FREEZE_DEPTH, Meter
from simulators.shapes import SHAPES

ZONE = ZoneInfo("Asia/Shanghai")
MOUNTED = datetime(2024, 3, 1, tzinfo=ZONE)
NOON = datetime(2024, 3, 11, 12, 0, 30, tzinfo=ZONE)
ENERGY = "1-0:1.8.0"


def meter(*faults: Fault, phases: int = 3, kind: str = "shop") -> Meter:
    load = Load(SHAPES[kind], seed=1, name="m", zone=ZONE, since=MOUNTED, phases=phases)
    return Meter("m", load, mounted=MOUNTED, zone=ZONE, phases=phases, start_kwh=1234_567_891, faults=faults)


def fault(kind: FaultKind, start: datetime, end: datetime | None = None, **more: object) -> Fault:
    return Fault("m", kind, start, end, **more)  # type: ignore[arg-type]


def value(one: Meter, quantity: str, at: datetime = NOON) -> int:
    found = one.value(quantity, at)
    assert found is not None, quantity
    return found


def test_a_new_meter_shows_its_start_register() -> None:
    assert value(meter(), ENERGY, MOUNTED) == 1234_567_891
    assert value(meter(phases=1), ENERGY, MOUNTED) == 1234_567_891
    assert value(meter(), ENERGY) > 1234_567_891


@pytest.mark.parametrize("phases", [1, 3])
def test_parts_add_up_to_the_total(phases: int) -> None:
    """To within what rounding down each part can lose: one millionth each."""
    one = meter(phases=phases)
    total = value(one, ENERGY)
    assert 0 <= total - sum(value(one, f"1-0:1.8.{tariff}") for tariff in range(1, 5)) < 4
    assert 0 <= total - sum(value(one, f"1-0:{c}.8.0") for c in (21, 41, 61)) < 3
    assert value(one, "1-0:16.7.0") == sum(value(one, f"1-0:{c}.7.0") for c in (36, 56, 76))
    assert value(one, "1-0:15.8.0") == total
    assert value(one, "1-0:2.8.0") == 0


def test_power_agrees_with_energy() -> None:
    """Over one step power stands still: the register moves by exactly power times time."""
    one = meter()
    begin, end = NOON, NOON + timedelta(seconds=36)
    watts = value(one, "1-0:1.7.0") // 1000
    moved = value(one, ENERGY, end) - value(one, ENERGY, begin)
    assert abs(moved - watts * 10) <= 1


def test_volts_and_amperes_agree_with_power() -> None:
    one = meter()
    for phase in (20, 40, 60):
        volts, amps = value(one, f"1-0:{phase + 12}.7.0"), value(one, f"1-0:{phase + 11}.7.0")
        volt_amperes = value(one, f"1-0:{phase + 9}.7.0")
        assert 205_000_000 < volts < 235_000_000
        assert abs(volts * amps // 10**9 - volt_amperes) <= 250, "to the milliampere"
    assert 49_900_000 < value(one, "1-0:14.7.0") < 50_100_000
    assert 900_000 < value(one, "1-0:13.7.0") < 1_000_000


def test_a_meter_has_no_quantity_that_it_does_not_count() -> None:
    one = meter(phases=1)
    for unknown in ("1-0:1.8.5", "1-0:3.8.1", "1-0:1.6.0", "1-0:81.7.4", "8-0:1.0.0", "1-0:1.8.0*01", "1-1:1.8.0"):
        assert one.value(unknown, NOON) is None, unknown
    assert one.value("1-0:52.7.0", NOON) == 0, "a phase that is not there"


def test_midnights_are_kept_by_their_own_stamp() -> None:
    one = meter()
    for back in (1, 2, 9):
        assert one.midnight(back, NOON) == datetime(2024, 3, 12 - back, tzinfo=ZONE)
    assert one.midnight(11, NOON) is not None, "the midnight of its mounting"
    assert one.midnight(12, NOON) is None, "before it was mounted"
    much_later = NOON + timedelta(days=100)
    assert one.midnight(FREEZE_DEPTH, much_later) is not None
    assert one.midnight(FREEZE_DEPTH + 1, much_later) is None
    assert one.midnight(0, NOON) is None


def test_a_day_of_23_hours_still_freezes_at_midnight() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    since = datetime(2024, 3, 30, tzinfo=berlin)
    load = Load(SHAPES["shop"], seed=1, name="m", zone=berlin, since=since)
    one = Meter("m", load, mounted=since, zone=berlin)
    stamps = [one.midnight(back, datetime(2024, 4, 1, 9, tzinfo=berlin)) for back in (1, 2)]
    assert [stamp.astimezone(UTC) for stamp in stamps if stamp] == [
        datetime(2024, 3, 31, 22, tzinfo=UTC),
        datetime(2024, 3, 30, 23, tzinfo=UTC),
    ]


# --- faults of the register -----------------------------------------------------------------------------------------------

STOP, GO = NOON - timedelta(days=3), NOON - timedelta(days=1)


def test_a_stopped_register_stands_still_and_loses_what_flows() -> None:
    one, good = meter(fault(FaultKind.STOPPED, STOP, GO)), meter()
    before = value(one, ENERGY, STOP)
    assert before == value(good, ENERGY, STOP)
    assert value(one, ENERGY, STOP + timedelta(hours=20)) == before == value(one, ENERGY, GO)
    assert abs(value(one, ENERGY) - before - (value(good, ENERGY) - value(good, ENERGY, GO))) <= 1
    frozen_at = one.midnight(2, NOON)
    assert frozen_at is not None
    assert value(one, ENERGY, frozen_at) == before, "the freeze agrees with the running register"


def test_a_register_falls_back_and_counts_on() -> None:
    one, good = meter(fault(FaultKind.DECREASED, STOP, back=timedelta(days=2))), meter()
    just_before = value(one, ENERGY, STOP - timedelta(seconds=1))
    assert value(one, ENERGY, STOP) < just_before
    assert abs(value(one, ENERGY, STOP) - value(good, ENERGY, STOP - timedelta(days=2))) <= 1
    assert value(one, ENERGY) > value(one, ENERGY, STOP)


def test_a_wrong_value_is_wrong_only_while_it_lasts() -> None:
    one, good = meter(fault(FaultKind.WRONG_VALUE, STOP, GO, kwh=50_000)), meter()
    assert value(one, ENERGY, STOP) - value(good, ENERGY, STOP) == 50_000_000_000
    assert value(one, "1-0:1.8.3", STOP) - value(good, "1-0:1.8.3", STOP) == 50_000_000_000
    assert value(one, ENERGY, GO) == value(good, ENERGY, GO)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 12 * 86_400), st.integers(0, 12 * 86_400))
def test_only_the_fault_that_says_so_lets_a_register_fall(one: int, two: int) -> None:
    early, late = (MOUNTED + timedelta(seconds=s) for s in sorted((one, two)))
    stopped = meter(fault(FaultKind.STOPPED, STOP, GO))
    for quantity in (ENERGY, "1-0:1.8.2", "1-0:21.8.0", "1-0:3.8.0", "1-0:9.8.0"):
        assert value(meter(), quantity, early) <= value(meter(), quantity, late)
        assert value(stopped, quantity, early) <= value(stopped, quantity, late)


# --- faults of the line ---------------------------------------------------------------------------------------------------


def test_a_line_fault_acts_from_to_and_leaves_the_register_alone() -> None:
    silent = fault(FaultKind.SILENT, STOP, GO)
    assert spoilt([silent], STOP, 0) is FaultKind.SILENT
    assert spoilt([silent], GO, 0) is None
    assert spoilt([silent], STOP - timedelta(microseconds=1), 0) is None
    assert value(meter(silent), ENERGY) == value(meter(), ENERGY)
    assert spoilt([fault(FaultKind.STOPPED, STOP)], NOON, 0) is None


def test_a_share_of_the_exchanges_is_spoilt_and_always_the_same_ones() -> None:
    bad = fault(FaultKind.BAD_CHECKSUM, STOP, share=250)
    hits = [n for n in range(2000) if spoilt([bad], NOON, n)]
    assert 400 < len(hits) < 600
    assert hits == [n for n in range(2000) if spoilt([bad], NOON, n)]
    assert not any(spoilt([fault(FaultKind.BAD_CHECKSUM, STOP, share=0)], NOON, n) for n in range(100))
