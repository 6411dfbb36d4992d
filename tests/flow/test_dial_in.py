"""Meters behind a modem that dials in, read by `read` and by the daemon as people start them."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from collector.acquisition.schedule import ClockWaker
from collector.clock import DrivenClock
from collector.daemon import Daemon
from collector.settings.loading import load_settings
from protocols.profile import builtin_profiles
from simulators.fleet import Fleet, Listening, load_scenario
from storage.memory import MemoryLedger
from storage.records import Reading
from storage.values import to_text
from tests.flow.commands import finish, start
from tests.flow.daemons import closed_port, installation

PROFILES = builtin_profiles()


@asynccontextmanager
async def houses() -> AsyncIterator[tuple[Fleet, Listening, DrivenClock]]:
    """A DL/T 645 meter on a socket of its own."""
    scenario = load_scenario("one-of-each", PROFILES)
    clock = DrivenClock(scenario.start)
    async with Fleet(scenario, now=clock.now, profiles=PROFILES) as fleet:
        (house,) = [one for one in fleet.listening if one.protocol == "dlt645"]
        yield fleet, house, clock


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(4096):
            writer.write(data)
    writer.close()


async def dial_in(port: int, registration: bytes, heartbeat: bytes, bus: str) -> None:
    """A modem between a listening port of ours and a serial server of its own; tries until somebody listens."""
    host, _, number = bus.removeprefix("tcp://").partition(":")
    while True:
        try:
            ours, to_us = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            await asyncio.sleep(0.05)
            continue
        break
    meter, to_meter = await asyncio.open_connection(host, int(number))
    to_us.write(registration)
    to_us.write(heartbeat)
    try:
        await asyncio.gather(carry(ours, to_meter), carry(meter, to_us))
    finally:
        to_us.transport.abort()
        to_meter.transport.abort()


def channel(name: str, port: int, identity: str) -> str:
    link = f'link = "listen://127.0.0.1:{port}"\nprotocol = "dlt645"\nidentity = "{identity}"\nheartbeat = "hex:FE 00"'
    return f'name = "{name}"\n{link}\ntimeout = "300ms"\nretries = 0'


async def test_read_listens_itself(tmp_path: Path) -> None:
    port = closed_port()
    async with houses() as (_, house, _):
        channels = [channel("a", port, "4712"), channel("b", port, "hex:47 12")]
        rows = f"m1,dlt645_2007_1p,a,{house.address}\nm2,dlt645_2007_1p,b,{house.address}\n"
        config = installation(tmp_path, *channels, meters=rows)
        modem = asyncio.create_task(dial_in(port, b"4712", b"\xfe\x00", house.url))
        ended = await asyncio.to_thread(finish, start("read", "-c", config, "--json", "--wait", "2s"))
        async with asyncio.timeout(5):
            await modem  # hung up on at the end
    assert ended.status == 1, ended.err
    (reading,) = [json.loads(line) for line in ended.out.splitlines()]
    assert (reading["meter"], reading["quantity"], reading["source"]) == ("m1", "1-0:1.8.0", "poll")
    assert 'm2: 1-0:1.8.0: not_online: "hex:47 12" has not dialled in to' in ended.err
    assert "gave nothing: m2" in ended.err


async def test_read_beside_the_daemon_that_listens_says_so(tmp_path: Path) -> None:
    port = closed_port()
    config = installation(tmp_path, channel("a", port, "4712"), meters="m1,dlt645_2007_1p,a,000000000001\n")
    listening = await asyncio.start_server(carry, "127.0.0.1", port)
    ended = await asyncio.to_thread(finish, start("read", "-c", config))
    listening.close()
    assert ended.status == 1
    assert "port_in_use" in ended.err


async def test_the_daemon_takes_calls_from_its_start_to_its_end(tmp_path: Path) -> None:
    port = closed_port()
    async with houses() as (fleet, house, clock):
        config = installation(
            tmp_path, channel("a", port, "4712"), meters=f"m1,dlt645_2007_1p,a,{house.address}\n", every="5m"
        )
        read: list[Reading] = []
        daemon = Daemon(
            load_settings(config),
            PROFILES,
            MemoryLedger(),
            clock=clock,
            waker=ClockWaker,
            watch=lambda done: read.extend(done.batch.readings),
            settle=False,
        )
        begun, modem = clock.now(), asyncio.create_task(dial_in(port, b"4712\r\n", b"\xfe\x00", house.url))
        async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
            tasks.create_task(daemon.run())
            while clock.now() < begun + timedelta(minutes=16):
                alarm = await daemon.quiet()
                if len(read) == 2:
                    modem.cancel()  # it reboots, and dials in again
                    await asyncio.wait((modem,))
                    modem = asyncio.create_task(dial_in(port, b"4712", b"", house.url))
                clock.advance(alarm)
            daemon.stop()
        async with asyncio.timeout(5):
            await asyncio.wait((modem,))
        shown = {Decimal(text) for (_, quantity, *_), text in fleet.truth.shown.items() if quantity == "1-0:1.8.0"}
    assert len(read) >= 4
    assert {Decimal(to_text(one.value)) for one in read} <= shown


async def test_a_daemon_ends_in_good_order_while_it_waits_for_calls(tmp_path: Path) -> None:
    port = closed_port()
    config = installation(tmp_path, channel("a", port, "4712"), meters="m1,dlt645_2007_1p,a,000000000001\n")
    process = start("run", "-c", config)
    assert process.stderr
    for line in process.stderr:
        if f"listen://127.0.0.1:{port}: waiting for calls" in line:
            break
    _, stranger = await asyncio.open_connection("127.0.0.1", port)
    process.send_signal(signal.SIGTERM)
    ended = await asyncio.to_thread(finish, process)
    stranger.close()
    assert ended.status == 0, ended.err
    assert "Traceback" not in ended.err
