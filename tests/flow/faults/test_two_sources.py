"""F51: a meter that is polled pushes as well."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections import Counter
from contextlib import closing
from datetime import timedelta
from pathlib import Path

from collector.acquisition.schedule import ClockWaker
from collector.clock import DrivenClock
from collector.daemon import Daemon
from collector.settings.loading import load_settings
from simulators.fleet import Fleet
from simulators.scenario import load_scenario
from storage.columns import SOURCE
from storage.engine import open_ledger
from storage.ledger.port import Ledger
from storage.records import Judged, Source
from storage.values import to_text
from tests.flow.faults.conftest import Tell
from tests.flow.faults.mailbox import publish
from tests.flow.faults.street import ENERGY, PROFILES, SEED, START
from tests.links.broker import SOUND, Mosquitto, needs_mosquitto

pytestmark = needs_mosquitto

SCENE = (
    f'format = 1\ntitle = "one line"\nseed = {SEED}\nstart = 2026-03-15T00:00:00+08:00\n'
    '[[line]]\nname = "line"\nprotocol = "modbus-tcp"\ntimeout = "100ms"\n'
    '[[meter]]\nmeter = "p{n}"\nline = "line"\nprofile = "eastron_sdm630"\naddress = "1"\ncount = 2\nregister = "815.5"\n'
)
CONFIG = """\
[storage]
url = "sqlite:///ledger.db"
[registry]
file = "meters.csv"
[[channel]]
name = "line"
link = "{line}"
protocol = "modbus-tcp"
timeout = "100ms"
retries = 0
[[channel]]
name = "broker"
link = "mqtt://127.0.0.1:{port}"
protocol = "mqtt-json"
topics = ["meters/+/reading"]
{also}
[[plan]]
name = "quarter"
read = ["1-0:1.8.0"]
every = "15m"
"""
METERS = "meter,profile,channel,address\n" + "".join(f"p{n},eastron_sdm630,line,{n}\n" for n in (1, 2, 9))
"""p9 is not there: polling brings nothing of it."""
END = START + timedelta(hours=1)


def pushed(address: str, time: object, value: str) -> tuple[str, bytes]:
    return f"meters/{address}/reading", json.dumps({"time": str(time), "values": {ENERGY: value}}).encode()


async def stored(ledger: Ledger) -> list[Judged]:
    return [one async for one in ledger.readings()]


async def two_sources(folder: Path, also: str) -> tuple[list[Judged], list[Judged], Counter[str], int]:
    """What polling brought, what is there once all of it was pushed as well, p9's slots that are missing, conflicts."""
    scene, place = folder / "scene.toml", folder / "broker"
    scene.write_text(SCENE, "utf-8")
    place.mkdir()
    broker = Mosquitto(place, *SOUND)
    await asyncio.to_thread(broker.start)
    clock = DrivenClock(START)
    try:
        async with Fleet(load_scenario(scene, PROFILES), now=clock.now, profiles=PROFILES) as fleet:
            config = folder / "collector.toml"
            text = CONFIG.format(line=fleet.listening[0].url, port=broker.port, also=also)
            config.write_text(text, "utf-8")
            config.with_name("meters.csv").write_text(METERS, "utf-8")
            settings = load_settings(config)
            ledger = await open_ledger(settings.storage.url.url, create=True)
            daemon = Daemon(settings, PROFILES, ledger, clock=clock, waker=ClockWaker, settle=False)
            async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
                tasks.create_task(daemon.run())
                while clock.now() < END:
                    clock.advance(min(await daemon.quiet(), END))
                await daemon.quiet()
                polled = await stored(ledger)
                sent = [
                    pushed(one.reading.meter[1:], one.reading.time.isoformat(), to_text(one.value, 10_000))
                    for one in polled
                ]
                quarters = [START + n * timedelta(minutes=15) for n in range(1, 4)]
                sent += [pushed("9", at.isoformat(), f"{n}.5") for n, at in enumerate(quarters)]
                sent.append(pushed("1", polled[0].reading.time.isoformat(), "1.0"))
                await publish(broker, sent)
                await daemon.quiet(pushed=len(sent))
                daemon.stop()
            missing = Counter(one.reason for one in await ledger.closed(START, END) if one.slot.meter == "p9")
            both, conflicts = await stored(ledger), len(await ledger.conflicts())
            await ledger.close()
            return polled, both, missing, conflicts
    finally:
        await asyncio.to_thread(broker.stop)


async def test_polled_and_pushed(tmp_path: Path, tell: Tell) -> None:
    polled, both, missing, conflicts = await two_sources(tmp_path, 'also = ["line"]')
    keys = Counter((one.reading.meter, one.reading.quantity, one.reading.basis, one.reading.time) for one in both)
    assert max(keys.values()) == 1
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as database:
        first = Counter(database.execute("SELECT source FROM reading").fetchall())
        beside = Counter(database.execute("SELECT source FROM restatement").fetchall())
    # The register is told to a hundredth by one way and to a thousandth by the other: one reading, both ways are on record.
    assert first == {(SOURCE.numbers()[Source.POLL],): len(polled), (SOURCE.numbers()[Source.PUSH],): 3}
    assert beside == {(SOURCE.numbers()[Source.PUSH],): len(polled)}
    of_nine = [one for one in both if one.reading.meter == "p9"]
    assert [(one.reading.source, one.reading.slot is not None) for one in of_nine] == [(Source.PUSH, True)] * 3
    assert len(both) == len(polled) + 3
    assert conflicts == 1
    tell(
        "F51",
        f"{len(polled)} values polled and pushed: {len(both) - 3} rows; 3 slots of a dead meter filled by its push",
    )
    assert missing.total() < 4


async def test_what_a_polled_meter_pushes_is_nobody_s_unless_it_is_said(tmp_path: Path) -> None:
    polled, both, missing, _ = await two_sources(tmp_path, "")
    assert len(both) == len(polled)
    assert missing.total() >= 3
    assert not any(one.reading.source is Source.PUSH for one in both)
