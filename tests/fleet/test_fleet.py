"""The whole fleet: the demo's district stands up, tells where it is, writes a configuration, and afterwards the truth."""

import asyncio
import json
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from collector.settings.loading import load_settings
from collector.settings.registry_csv import COLUMNS, read_sheet
from simulators import configuration
from simulators.broker import find_broker
from simulators.fleet import EXPECTED, FaultKind, Fleet, load_scenario, simulate
from simulators.truth import Display, Truth
from tests.fleet.scenes import PROFILES, START, Caller, Hands, fleet, read_registers
from tests.fleet.test_dlt645_server import FIRST, VILLAGE, ask
from tests.fleet.test_modbus_server import TWO_UNITS
from tests.fleet.test_push import RIDGE

needs_mosquitto = pytest.mark.skipif(find_broker() is None, reason="needs Mosquitto: the Debian package mosquitto")

FIFTH = timedelta(milliseconds=200)


def district() -> tuple[Fleet, Hands]:
    scenario = load_scenario("demo", PROFILES)
    hands = Hands(scenario.start)
    return Fleet(scenario, now=hands.now, profiles=PROFILES), hands


def test_the_district_has_what_the_demo_shows() -> None:
    here, _ = district()
    assert Counter(one.line.protocol for one in here.members) == {"modbus-tcp": 8, "dlt645": 10, "mqtt-json": 6}
    assert len({one.line.name for one in here.members if one.line.protocol == "dlt645"}) == 2
    assert {fault.kind for fault in here.faults} == set(FaultKind) - {FaultKind.POWER_DOWN}, (
        "a night without a power cut"
    )
    assert {one.entry.load for one in here.members} >= {"household", "shop", "pump"}
    assert len({one.entry.area for one in here.members}) >= 4
    assert all(one.entry.account for one in here.members)


def test_no_register_leaves_what_its_meter_and_float_can_show() -> None:
    """A float32 shows 0.01 kWh exactly up to 131,072 kWh; a healthy meter of the demo stays far below."""
    here, _ = district()
    end = here.start + timedelta(days=here.scenario.days, hours=6)
    for one in here.members:
        assert 0 < (one.meter.value("1-0:1.8.0", end) or 0) < 131_072_000_000


@needs_mosquitto
async def test_every_meter_of_the_district_listens(tmp_path: Path) -> None:
    here, _ = district()
    async with here, asyncio.timeout(20):
        assert len(here.listening) == 24
        assert len({one.url for one in here.listening}) == 4
        for place in here.listening:
            async with Caller(place.url):
                pass
        await here.publish_until(here.start + timedelta(days=1))
        owed = 6 * (96 + 1)
        assert here.acknowledged == owed
    assert here.listening == ()


@needs_mosquitto
async def test_the_configuration_it_writes_is_one_that_the_collector_takes(tmp_path: Path) -> None:
    here, _ = district()
    async with here:
        written, registry = here.write_config(tmp_path / "site")
    settings = load_settings(written)
    assert [channel.name for channel in settings.channels] == ["street", "village-1", "village-2", "radio"]
    assert {channel.protocol for channel in settings.channels} == {"modbus-tcp", "dlt645", "mqtt-json"}
    village = settings.channel("village-1")
    assert (village.timeout, village.worst_reply, village.retries) == (FIFTH, FIFTH, 1)
    assert settings.channel("radio").retries == 2, "what the scenario leaves open is the collector's own default"
    sheet = read_sheet(registry)
    assert sheet.problems == ()
    assert len(sheet.lines) == 24
    lamps = next(line.cells for line in sheet.lines if line.cells["meter"] == "street-lamps")
    assert lamps["area"] == "老街台区 Old Street"
    assert lamps["start_readings"] == "1-0:1.8.0=3000"
    assert lamps["class"] == "street_light"
    assert lamps["serial"]
    assert set(configuration.COLUMNS) <= set(COLUMNS)


async def test_the_truth_file_says_what_was_shown_and_what_went_wrong(tmp_path: Path) -> None:
    hands = Hands()
    scene = TWO_UNITS + '\n[[fault]]\nmeter = "flat"\nkind = "silent"\nto = "1h"\n'
    async with fleet(tmp_path, scene, hands) as here, Caller(here.listening[0].url) as caller:
        await read_registers(caller, 1, 72, 2)
        await caller.say(bytes.fromhex("0007 0000 0006 11 04 0048 0002"))
        assert await caller.hears_nothing()
        here.write_truth(tmp_path / "truth.jsonl")
    head, *lines = [json.loads(line) for line in (tmp_path / "truth.jsonl").read_text("utf-8").splitlines()]
    assert head["format"] == 1
    assert head["seed"] == 1
    by_type = {kind: [line for line in lines if line["type"] == kind] for kind in ("meter", "fault", "spoilt", "shown")}
    assert sum(map(len, by_type.values())) == len(lines)
    assert [line["meter"] for line in by_type["meter"]] == ["shop", "flat"]
    (fault,) = by_type["fault"]
    assert (fault["from"], fault["to"]) == ("2024-03-14T12:00:00Z", "2024-03-14T13:00:00Z")
    assert fault["expected"] == EXPECTED[FaultKind.SILENT] == {"missing": "no_answer"}
    assert [(line["meter"], line["kind"]) for line in by_type["spoilt"]] == [("flat", "silent")]
    (shown,) = by_type["shown"]
    assert shown == {
        "type": "shown",
        "meter": "shop",
        "quantity": "1-0:1.8.0",
        "basis": "instant",
        "time": "2024-03-14T12:00:00Z",
        "value": here.truth.value("shop", "1-0:1.8.0", "instant", START),
    }
    assert not (tmp_path / "truth.jsonl.part").exists()


def test_a_fleet_that_lives_for_weeks_forgets_its_oldest_and_says_how_much() -> None:
    truth = Truth(limit=3)
    for minute in range(5):
        truth.show("shop", START + timedelta(minutes=minute), [Display("1-0:1.8.0", f"{minute}.00")])
        truth.spoil("flat", START, FaultKind.SILENT)
    assert list(truth.shown.values()) == ["2.00", "3.00", "4.00"]
    assert len(truth.spoilt) == 3
    head = json.loads(next(truth.lines({}, [], [])))
    assert head == {"format": 1, "type": "truth", "forgotten": 4}


async def test_a_fleet_in_real_time_begins_now_and_tells_once(tmp_path: Path) -> None:
    hands = Hands(START + timedelta(days=400))
    scenario = fleet(tmp_path, TWO_UNITS, hands).scenario
    told: list[Fleet] = []
    ready = asyncio.Event()

    def tell(here: Fleet) -> None:
        told.append(here)
        ready.set()

    truth = tmp_path / "truth.jsonl"
    task = asyncio.create_task(simulate(scenario, now=hands.now, profiles=PROFILES, tell=tell, truth=truth))
    async with asyncio.timeout(20):
        await ready.wait()
        assert told[0].start == hands.at
        async with Caller(told[0].listening[0].url) as caller:
            assert await read_registers(caller, 1, 72, 2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert truth.exists()
    assert len(told) == 1


def test_every_face_works_under_the_faster_loop(tmp_path: Path) -> None:
    """Its servers and transports are none of asyncio's classes."""
    uvloop = pytest.importorskip("uvloop", reason="uvloop does not install here")

    async def main() -> list[bytes]:
        answers = []
        for scene in (TWO_UNITS, VILLAGE):
            async with fleet(tmp_path, scene, Hands()) as here, Caller(here.listening[0].url) as caller:
                here.write_truth(tmp_path / "truth.jsonl")
                answers.append(await (read_registers(caller, 1, 72, 2) if scene == TWO_UNITS else ask(caller, FIRST)))
        return answers

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as faster:
        seen = faster.run(main())
    with asyncio.Runner() as usual:
        assert seen == usual.run(main())


async def test_a_fleet_whose_broker_is_away_says_so_once_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("simulators.fleet.PUSH_EVERY_S", 0)
    looked: asyncio.Queue[None] = asyncio.Queue()
    hands = Hands()

    def now() -> datetime:
        looked.put_nowait(None)
        return hands.turn(minutes=15)

    scenario = fleet(tmp_path, RIDGE, hands).scenario
    async with Fleet(scenario, now=now, profiles=PROFILES, broker="mqtt://127.0.0.1:1") as here:
        living = asyncio.create_task(here.serve())
        async with asyncio.timeout(20):
            for _ in range(4):
                await looked.get()
        living.cancel()
        with pytest.raises(asyncio.CancelledError):
            await living
    warnings = [record.getMessage() for record in caplog.records if record.name == "simulators.fleet"]
    assert len(warnings) == 1
    assert warnings[0].startswith("the broker 127.0.0.1:1 left 2 messages unacknowledged")
