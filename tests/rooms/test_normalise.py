"""The translator: exact, and believing nobody beyond the profile."""

from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.normalise.exact import fine_enough, to_canonical
from collector.normalise.slots import among
from collector.normalise.translate import Translation, translate
from protocols.profile import Profile
from protocols.telegram import Item
from storage.errors import ValueRefused
from storage.records import Basis, Slot, Source
from storage.registry import Meter

SHANGHAI = ZoneInfo("Asia/Shanghai")
NOW = datetime(2026, 3, 14, 16, 5, tzinfo=UTC)  # 00:05 of the 15th in Shanghai
MIDNIGHT = datetime(2026, 3, 14, 16, 0, tzinfo=UTC)
METER = Meter("m1", "village_meter", "bus", "1")


def village_meter(*registers: dict[str, Any]) -> Profile:
    return Profile.model_validate(
        {
            "id": "village_meter",
            "protocol": "dlt645",
            "maker": "nobody",
            "models": ["V1"],
            "phases": 1,
            "sources": ["made for this test"],
            "register": list(registers)
            or [
                {
                    "id": "00010000",
                    "quantity": "1-0:1.8.0",
                    "type": "XXXXXX.XX",
                    "resolution": "0.01",
                    "billable": True,
                },
                {
                    "id": "050601nn",
                    "quantity": "1-0:1.8.0",
                    "basis": "freeze",
                    "type": "XXXXXX.XX",
                    "resolution": "0.01",
                    "billable": True,
                    "time_id": "050600nn",
                },
                {
                    "id": "00030000",
                    "quantity": "1-0:3.8.0",
                    "type": "XXXXXX.XX",
                    "resolution": "0.01",
                    "billable": True,
                },
                {"id": "02010100", "quantity": "1-0:32.7.0", "type": "XXX.X", "resolution": "0.1"},
            ],
        }
    )


def read(*items: Item, profile: Profile | None = None, slots: tuple[Slot, ...] = ()) -> Translation:
    return translate(
        items,
        profile=profile or village_meter(),
        meter=METER,
        zone=SHANGHAI,
        source=Source.POLL,
        received_at=NOW,
        choose_slot=among(slots),
    )


def test_a_value_as_it_runs_is_stamped_with_the_arrival_of_its_answer() -> None:
    (reading,) = read(Item("00010000", value=Decimal("123.45"))).readings
    assert (reading.quantity, reading.basis, reading.time) == ("1-0:1.8.0", Basis.INSTANT, NOW)
    assert (reading.value, reading.resolution, reading.billable) == (123_450_000, 10_000, True)


def test_a_freeze_is_known_by_the_meters_own_stamp() -> None:
    stamp = datetime(2026, 3, 15, 0, 0)  # noqa: DTZ001 - as the meter gives it
    (reading,) = read(Item("05060101", value=Decimal("120.00"), time=stamp)).readings
    assert (reading.basis, reading.time, reading.received_at) == (Basis.FREEZE, MIDNIGHT, NOW)


def test_a_freeze_without_its_stamp_is_no_reading() -> None:
    found = read(Item("05060101", value=Decimal("120.00")))
    assert not found.readings
    assert [reject.reason for reject in found.rejects] == ["no_time_stamp"]


def test_a_stamp_of_another_century_is_no_reading() -> None:
    stamp = datetime(2099, 12, 30)  # noqa: DTZ001
    assert [reject.reason for reject in read(Item("05060101", value=Decimal(1), time=stamp)).rejects] == [
        "impossible_time"
    ]


def test_what_nobody_claims_is_rejected_and_helpers_are_not() -> None:
    found = read(
        Item("00000000", value=Decimal("7.77")),
        Item("050600nn", value="2603150000"),
        Item("00010000", value=Decimal(1)),
    )
    assert [(reject.id, reject.reason) for reject in found.rejects] == [("00000000", "unknown")]
    assert len(found.readings) == 1


def test_reasons_of_the_wire_are_kept() -> None:
    found = read(
        Item("00010000", raw=b"\x0e\x00", reason="bad_digits"),
        Item("02010100", raw=b"\xff\xff", reason="invalid_value"),
    )
    assert [(r.quantity, r.reason, r.detail) for r in found.rejects] == [
        ("1-0:1.8.0", "bad_digits", "0e 00"),
        ("1-0:32.7.0", "invalid_value", "ff ff"),
    ]


@pytest.mark.parametrize(
    "value", [Decimal("NaN"), Decimal("Infinity"), Decimal("1E999999999"), Decimal("1E-999999"), "12", None]
)
def test_what_does_not_fit_is_refused(value: Decimal | str | None) -> None:
    found = read(Item("00010000", value=value))
    assert not found.readings
    assert [reject.reason for reject in found.rejects] == ["invalid_value"]


def test_a_register_that_may_fall_is_never_billed() -> None:
    (reading,) = read(Item("00030000", value=Decimal(5))).readings
    assert not reading.billable


@pytest.mark.parametrize(("step", "billable"), [("0.0009765625", True), ("0.001", True), ("0.001953125", False)])
def test_a_float_is_billed_only_while_its_step_is_fine_enough(step: str, *, billable: bool) -> None:
    profile = village_meter({"id": "72", "quantity": "1-0:1.8.0", "type": "float32", "billable": True})
    (reading,) = read(Item("72", value=Decimal("8192.001"), step=Decimal(step)), profile=profile).readings
    assert reading.billable is billable


def test_the_step_is_compared_after_scaling() -> None:
    assert fine_enough(Decimal("0.5"), scale=Decimal("0.001"), resolution=Decimal("0.001"))
    assert not fine_enough(Decimal("0.5"), scale=Decimal("-0.01"), resolution=Decimal("0.001"))


def test_slots_are_filled_by_stamp_and_by_grid() -> None:
    freeze = Slot("daily", "m1", "1-0:1.8.0", Basis.FREEZE, MIDNIGHT)
    early = Slot("quarter", "m1", "1-0:1.8.0", Basis.INSTANT, MIDNIGHT - timedelta(minutes=15))
    due = Slot("quarter", "m1", "1-0:1.8.0", Basis.INSTANT, MIDNIGHT)
    later = Slot("quarter", "m1", "1-0:1.8.0", Basis.INSTANT, MIDNIGHT + timedelta(minutes=15))
    stamp = datetime(2026, 3, 15, 0, 0)  # noqa: DTZ001
    yesterday = datetime(2026, 3, 14, 0, 0)  # noqa: DTZ001
    found = read(
        Item("05060101", value=Decimal(1), time=stamp),
        Item("05060102", value=Decimal(1), time=yesterday),
        Item("00010000", value=Decimal(1)),
        slots=(later, freeze, due, early),
    ).readings
    assert [reading.slot for reading in found] == [freeze, None, due]
    assert [str(reading.data_day) for reading in found] == ["2026-03-14", "None", "2026-03-15"]


def test_a_message_that_says_its_basis_finds_the_register_of_that_basis() -> None:
    path = "values.1-0:1.8.0"
    both = [{"id": path, "quantity": "1-0:1.8.0", "basis": basis, "type": "decimal"} for basis in ("instant", "freeze")]
    profile = village_meter(*both)
    stamp = datetime(2026, 3, 15, tzinfo=SHANGHAI)
    found = read(
        Item(path, value=Decimal(1), time=stamp),
        Item(path, value=Decimal(1), time=stamp, basis="freeze"),
        profile=profile,
    ).readings
    assert [reading.basis for reading in found] == [Basis.INSTANT, Basis.FREEZE]
    assert [reading.time for reading in found] == [MIDNIGHT, MIDNIGHT]


RESOLUTIONS = st.sampled_from(
    [Decimal(1), Decimal("0.1"), Decimal("0.01"), Decimal("0.001"), Decimal("0.0001"), Decimal("0.000001")]
)
SCALES = st.sampled_from([Decimal(1), Decimal("0.001"), Decimal("0.1"), Decimal("-1"), Decimal("3.6"), Decimal("1000")])


@given(st.decimals(min_value=-999_999, max_value=999_999, places=8, allow_nan=False), SCALES, RESOLUTIONS)
def test_scale_and_rounding_are_those_of_decimal(value: Decimal, scale: Decimal, resolution: Decimal) -> None:
    count, unit = to_canonical(value, scale=scale, resolution=resolution)
    with localcontext() as context:
        context.prec = 80
        expected = (value * scale / resolution).to_integral_value(ROUND_HALF_EVEN) * resolution
        assert Decimal(count) / 1_000_000 == expected
        assert Decimal(unit) / 1_000_000 == resolution
    assert abs(2 * (Decimal(count) - value * scale * 1_000_000)) <= unit


def test_ties_go_to_the_even_step() -> None:
    half = [
        to_canonical(Decimal(v), scale=Decimal(1), resolution=Decimal("0.001"))[0]
        for v in ("0.0005", "0.0015", "-0.0005", "-0.0015")
    ]
    assert half == [0, 2_000, 0, -2_000]


def test_a_resolution_that_millionths_cannot_hold_is_refused() -> None:
    with pytest.raises(ValueRefused, match="resolution of 1E-7"):
        to_canonical(Decimal(1), scale=Decimal(1), resolution=Decimal("1E-7"))


def test_64_bits_are_the_limit() -> None:
    fits = Decimal(2**63 - 1) / 1_000_000
    assert to_canonical(fits, scale=Decimal(1), resolution=Decimal("0.000001"))[0] == 2**63 - 1
    with pytest.raises(ValueRefused, match="64 bits"):
        to_canonical(fits + Decimal("0.000001"), scale=Decimal(1), resolution=Decimal("0.000001"))
