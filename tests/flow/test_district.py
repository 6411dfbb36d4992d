"""The whole way of a reading, on real sockets and driven time: what was planted is found, what is healthy is exact."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from decimal import Decimal

from collector.demo import District, open_district
from storage.records import Quality
from tests.links.broker import needs_mosquitto

pytestmark = needs_mosquitto

EVENING = timedelta(hours=5, minutes=30)
"""From 20:00 to 01:30: past the freeze of midnight, and past every fault's beginning but one."""


async def live(district: District, span: timedelta) -> None:
    async for _ in district.live_until(district.fleet.start + span):
        pass


async def test_an_evening_in_the_district() -> None:
    async with open_district() as district:
        await live(district, EVENING)
        await district.judge_and_hand_over()
        numbers = await district.numbers()
        missing = await district.missing()
        suspects = Counter[str]()
        late = Counter[str]()
        async for judged in district.ledger.readings():
            suspects[judged.reading.meter] += judged.quality is Quality.SUSPECT
            late[judged.reading.meter] += 1

        # accounted for: expected is collected and missing, and each missing one carries its reason
        assert numbers.expected == numbers.collected + len(missing)
        assert numbers.expected > 100
        reasons = {(one.slot.meter, one.reason) for one in missing if one.reason not in ("not_yet",)}
        assert ("upper-03", "no_answer") in reasons
        assert ("lower-02", "bad_checksum") in reasons
        assert {meter for meter, _ in reasons} == {"upper-03", "lower-02"}

        # found: the wrong value, and nothing of the healthy ones
        healthy = {member.name for member in district.fleet.healthy}
        assert suspects["street-flat-02"] > 0
        assert not [meter for meter in healthy if suspects[meter]]
        assert numbers.rules["out_of_range"] > 0
        assert late["upper-03"] == 0

        # exact: what billing got is what the meters showed
        assert numbers.healthy == 19
        assert numbers.compared > 500
        assert numbers.untold == 0
        assert numbers.difference == Decimal(0)
        assert (numbers.qualities["verified"], numbers.delivered) == (numbers.delivered, numbers.delivered)


async def test_handing_over_again_writes_nothing_new() -> None:
    async with open_district("one-of-each") as district:
        await live(district, timedelta(hours=2))
        await district.judge_and_hand_over()
        files = {path.name: path.read_bytes() for path in district.directory.iterdir()}
        await district.judge_and_hand_over()
        assert {path.name: path.read_bytes() for path in district.directory.iterdir()} == files
        assert sorted(files) == ["batch-00000001.jsonl", "batch-00000001.manifest.json"]
        rows = [json.loads(line) for line in files["batch-00000001.jsonl"].splitlines()]
        assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))
        assert {row["quality"] for row in rows} == {"verified"}


async def test_a_delivered_value_that_no_meter_showed_is_noticed() -> None:
    """The demo's own judge is seen red: were the truth another, it would say so."""
    async with open_district("one-of-each") as district:
        await live(district, timedelta(hours=1))
        await district.judge_and_hand_over()
        honest = district.fleet.truth.value
        try:
            district.fleet.truth.value = lambda *key: "1" if honest(*key) else None  # type: ignore[method-assign]
            numbers = await district.numbers()
        finally:
            del district.fleet.truth.value
        assert numbers.difference > 0
