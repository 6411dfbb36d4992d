"""The way of a JSON message into the ledger: whatever the catalogue has may stand under `values`."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from collector.normalise.translate import Translation, translate
from protocols.payload import read_message
from protocols.profile import builtin_profiles
from storage.records import Basis, Source
from storage.registry import Meter

PROFILE = builtin_profiles()["json_meter"]
METER = Meter("m1", "json_meter", "broker", "12")


def received(payload: str) -> Translation:
    return translate(
        read_message(PROFILE, payload.encode()).items,
        profile=PROFILE,
        meter=METER,
        zone=ZoneInfo("Asia/Shanghai"),
        source=Source.PUSH,
        received_at=datetime(2026, 3, 13, 16, 20, tzinfo=UTC),
    )


def test_listed_and_unlisted_quantities_become_readings_and_only_the_listed_may_be_billed() -> None:
    found = received(
        '{"time": "2026-03-14T00:15:00+08:00", "values": {"1-0:1.8.0": "123.45", "1-0:3.8.0": 7, "1-0:32.7.0": 230.16}}'
    )
    assert not found.rejects
    assert [(r.quantity, r.value, r.resolution, r.billable) for r in found.readings] == [
        ("1-0:1.8.0", 123_450_000, 1_000, True),
        ("1-0:3.8.0", 7_000_000, 1_000, False),
        ("1-0:32.7.0", 230_160_000, 1_000, False),
    ]
    assert {(r.time, r.basis) for r in found.readings} == {(datetime(2026, 3, 13, 16, 15, tzinfo=UTC), Basis.INSTANT)}


def test_the_basis_of_the_message_is_that_of_its_readings() -> None:
    message = '{"time": "2026-03-14T00:00:00+08:00", "basis": "freeze", "values": {"1-0:1.8.0": 1, "1-0:4.8.0": 2}}'
    found = received(message)
    assert {(r.time, r.basis) for r in found.readings} == {(datetime(2026, 3, 13, 16, tzinfo=UTC), Basis.FREEZE)}


def test_what_the_meter_has_not_is_no_reading() -> None:
    found = received('{"time": "2026-03-14T00:00:00+08:00", "values": {"1-0:1.8.0": null}}')
    assert not found.readings
    assert [(r.quantity, r.reason) for r in found.rejects] == [("1-0:1.8.0", "invalid_value")]
