"""Messages per second that a broker hands over, QoS 1, JSON, one reading each, from a session that waits with all of them.

    bare    an aiomqtt loop that parses and commits the readings alone: acknowledged on arrival, batches of the same size
    ours    link → intake → inbox → ledger: the payload as it came, the reading, the slot it fills and its counters committed,
            then acknowledged

Each contender runs in a process of its own, by turns; broker (Mosquitto) and publisher are others and are not counted. SQLite
with WAL and synchronous = FULL for both.    python -m benchmarks.acquisition.intake
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import sqlite3
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import uvloop
from aiomqtt import Client, ProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from collector.acquisition.intake import BATCH_LINGER_S, BATCH_MESSAGES, Intake
from collector.acquisition.mqtt_connection import Broker as Where
from collector.acquisition.mqtt_link import MqttLink
from collector.acquisition.plan import gives_by
from collector.clock import SystemClock
from collector.jobs.receive import Inbox, Receive
from collector.jobs.receivers import owed_slots
from protocols.profile import builtin_profiles
from simulators.broker import Broker
from storage.engine import open_ledger
from storage.records import Batch, Plan, Receipt
from storage.registry import Installation, Meter, Point, Registered

WANTED = 0.6
METERS = 200
ENERGY = "1-0:1.8.0"
ZONE = ZoneInfo("Asia/Shanghai")
START = datetime(2026, 3, 14, 16, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
TOPICS = "meters/+/reading"

Done = Callable[[int], bool]
"""So many more are committed; whether these were the last."""


def message(n: int) -> tuple[str, bytes]:
    """Topic and payload."""
    body = {
        "time": (START + n // METERS * QUARTER).astimezone(ZONE).isoformat(),
        "values": {ENERGY: f"{1000 + n // METERS}.{n % METERS:03d}"},
        "seq": n + 1,
    }
    return f"meters/r{n % METERS}/reading", json.dumps(body, separators=(",", ":")).encode()


# --- contenders -----------------------------------------------------------------------------------------------------------


async def bare(port: int, folder: Path, messages: int, done: Done) -> None:
    """Parse, collect, commit."""
    database = sqlite3.connect(folder / "bare.db", isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    database.execute(
        "CREATE TABLE reading (meter TEXT, quantity TEXT, time INTEGER, value INTEGER, PRIMARY KEY (meter, quantity, time))"
    )
    async with session("bare", port) as client:
        batch: list[tuple[str, str, int, int]] = []
        closes_at, left = 0.0, messages
        async for one in client.messages:
            said = json.loads(bytes(one.payload))
            instant = int(datetime.fromisoformat(said["time"]).timestamp())
            meter = one.topic.value.split("/")[1]
            batch += [
                (meter, quantity, instant, int(Decimal(value) * 1_000_000))
                for quantity, value in said["values"].items()
            ]
            now = time.monotonic()
            if len(batch) == 1:
                closes_at = now + BATCH_LINGER_S
            left -= 1
            if len(batch) < BATCH_MESSAGES and now < closes_at and left:
                continue
            database.execute("BEGIN IMMEDIATE")
            database.executemany("INSERT OR IGNORE INTO reading VALUES (?, ?, ?, ?)", batch)
            database.execute("COMMIT")
            count = len(batch)
            batch = []
            if done(count):
                return


async def ours(port: int, folder: Path, _messages: int, done: Done) -> None:
    """As the daemon builds it."""
    profiles = builtin_profiles()
    rows = tuple(
        Registered(
            Meter(f"r{n}", "json_meter", "broker", f"r{n}"), Point(f"P{n}"), Installation(f"r{n}", f"P{n}", START)
        )
        for n in range(METERS)
    )
    ledger = await open_ledger(f"sqlite:///{folder / 'ours.db'}", create=True)
    await ledger.import_registry(rows, digest="", at=START)
    await ledger.keep_plans([Plan("quarter", (ENERGY,), every_s=900)], at=START - QUARTER)
    versions = await ledger.plan_versions(START - QUARTER, START + timedelta(days=90))
    inbox = Inbox("broker", profiles, rows, zone=ZONE, slots_for=owed_slots(lambda: versions, ZONE, gives_by(profiles)))
    stop, filled = asyncio.Event(), 0

    def told(batch: Batch, receipt: Receipt) -> None:
        nonlocal filled
        filled += receipt.slots_filled
        if done(len(batch.frames)):
            stop.set()

    intake = Intake()
    link = MqttLink(Where("127.0.0.1", port, "ours", (TOPICS,)), intake, SystemClock())
    await Receive(link, intake, inbox, ledger, told=told).run(stop)
    assert not await ledger.dead_letters()
    assert filled, "no slot was filled"
    await ledger.close()


CONTENDERS: dict[str, Callable[[int, Path, int, Done], Coroutine[None, None, None]]] = {"bare": bare, "ours": ours}


def session(name: str, port: int) -> Client:
    """One that the broker keeps."""
    kept = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    kept.SessionExpiryInterval = 3600
    kept.ReceiveMaximum = 1_799  # as ours
    return Client(
        "127.0.0.1", port, identifier=name, protocol=ProtocolVersion.V5, clean_start=False, properties=kept, timeout=30
    )


def contend(name: str, port: int, messages: int) -> None:
    """In a process of its own. The first tenth warms it up."""
    committed = 0
    marks: list[tuple[int, float, float]] = []

    def done(count: int) -> bool:
        nonlocal committed
        committed += count
        if committed >= (messages if marks else messages // 10) and len(marks) < 2:
            marks.append((committed, time.perf_counter(), time.process_time()))
        return committed >= messages

    with tempfile.TemporaryDirectory() as folder:
        uvloop.run(asyncio.wait_for(CONTENDERS[name](port, Path(folder), messages, done), 60))
    first, last = marks
    told = {"messages": last[0] - first[0], "seconds": last[1] - first[1], "cpu_s": last[2] - first[2]}
    sys.stdout.write(json.dumps(told) + "\n")


# --- the other side -------------------------------------------------------------------------------------------------------


async def subscribe(name: str, port: int) -> None:
    """The broker is to keep what comes for this client."""
    async with session(name, port) as client:
        await client.subscribe(TOPICS, qos=1)


def publish(port: int, count: int) -> None:
    """As fast as the broker takes it: MQTT 3.1.1 by hand, QoS 1."""
    with socket.create_connection(("127.0.0.1", port)) as broker:
        broker.sendall(b"\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04publ")
        broker.recv(4)
        for first in range(0, count, 500):
            last = min(first + 500, count)
            broker.sendall(b"".join(packets(first, last)))
            left = 4 * (last - first)
            while left:
                left -= len(broker.recv(left))
        broker.sendall(b"\xe0\x00")


def packets(first: int, last: int) -> Iterator[bytes]:
    """PUBLISH, QoS 1."""
    for n in range(first, last):
        topic, payload = message(n)
        body = struct.pack(">H", len(topic)) + topic.encode() + struct.pack(">H", n % 0xFFFF + 1) + payload
        size = len(body)
        length = bytes([size]) if size < 128 else bytes([size % 128 | 128, size // 128])
        yield b"\x32" + length + body


async def measure(messages: int, turns: int) -> dict[str, list[tuple[float, float]]]:
    """Messages a second, and CPU a message in µs, by contender."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in CONTENDERS}
    async with Broker() as broker:
        for _ in range(turns):
            for name in CONTENDERS:
                await subscribe(name, broker.port)
                await asyncio.to_thread(publish, broker.port, messages)
                command = [sys.executable, "-m", "benchmarks.acquisition.intake", "--only", name]
                command += ["--port", str(broker.port), "--messages", str(messages)]
                ended = await asyncio.to_thread(
                    subprocess.run, command, stdout=subprocess.PIPE, check=True, text=True, timeout=400
                )
                done = json.loads(ended.stdout)
                found[name].append((done["messages"] / done["seconds"], done["cpu_s"] / done["messages"] * 1e6))
    return found


def main() -> None:
    """Measure, and print the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--messages", type=int, default=20_000)
    options.add_argument("--turns", type=int, default=5)
    options.add_argument("--only", choices=CONTENDERS)
    options.add_argument("--port", type=int, default=0)
    asked = options.parse_args()
    if asked.only:
        contend(asked.only, asked.port, asked.messages)
        return
    found = asyncio.run(measure(asked.messages, asked.turns))
    print(
        f"{asked.messages} messages that wait in the broker, {BATCH_MESSAGES} a commit; median of {asked.turns} turns"
    )
    for name, each in found.items():
        rate, cost = (statistics.median(column) for column in zip(*each, strict=True))
        print(f"{name:5} {rate:7.0f} messages a second  {cost:6.1f} µs of CPU a message")
    pairs = list(zip(found["bare"], found["ours"], strict=True))
    rates = statistics.median(mine[0] / theirs[0] for theirs, mine in pairs)
    costs = statistics.median(theirs[1] / mine[1] for theirs, mine in pairs)
    print(f"ours is {rates:.2f} × bare by the clock (wanted ≥ {WANTED:g}), {costs:.2f} × by CPU")


if __name__ == "__main__":
    main()
