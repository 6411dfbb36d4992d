"""`chaobiao read --json` on devices that we did not write: each gives the exact expected value, once, and exit status 0."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

from pymodbus.framer import FramerRTU

from tests.flow.commands import Ended, finish, start
from tests.links.peers import dlt645_meter, pymodbustcp_server
from tests.links.pty_device import plugged_in

KEYS = {
    "meter", "point", "quantity", "time", "basis", "value", "unit", "kind", "quality", "source", "revision", "received_at",
}  # fmt: skip


def installation(folder: Path, link: str, protocol: str, *rows: str, read: Iterable[str] = ("1-0:1.8.0",)) -> Path:
    """The smallest configuration with one channel, and its registry."""
    (folder / "collector.toml").write_text(
        f"""\
[storage]
url = "sqlite:///chaobiao.db"
[registry]
file = "meters.csv"
[[channel]]
name = "village"
link = "{link}"
protocol = "{protocol}"
timeout = "3s"
[[plan]]
name = "quarter"
read = {json.dumps(list(read))}
every = "15m"
""",
        encoding="utf-8",
    )
    header = "meter,profile,channel,address,serial,point"
    (folder / "meters.csv").write_text("\n".join([header, *rows, ""]), encoding="utf-8")
    return folder / "collector.toml"


async def read_json(config: Path) -> tuple[list[dict[str, Any]], Ended]:
    """The command in a process of its own, while this loop goes on turning (it may be the device)."""
    process = start("read", "-c", config, "--json")
    ended = await asyncio.get_running_loop().run_in_executor(None, finish, process)
    return [json.loads(line) for line in ended.out.splitlines()], ended


def values(readings: list[dict[str, Any]]) -> dict[str, Decimal]:
    assert all(set(reading) == KEYS for reading in readings)
    assert {(reading["source"], reading["basis"], reading["revision"]) for reading in readings} == {
        ("poll", "instant", 0)
    }
    return {reading["quantity"]: Decimal(reading["value"]) for reading in readings}


async def test_a_modbus_tcp_server_of_another_project(tmp_path: Path) -> None:
    words = struct.unpack(">HH", struct.pack(">f", 1234.5))
    with pymodbustcp_server(holding={64512: [0, 4711]}, input_={72: words}) as port:
        config = installation(
            tmp_path, f"tcp://127.0.0.1:{port}", "modbus-tcp", "M1,eastron_sdm630,village,1,4711,house-1"
        )
        readings, ended = await read_json(config)
    assert ended.status == 0, ended.err
    assert values(readings) == {"1-0:1.8.0": Decimal("1234.5")}
    assert [(one["meter"], one["point"], one["unit"]) for one in readings] == [("M1", "house-1", "kWh")]


async def test_a_dlt645_meter_of_another_project(tmp_path: Path) -> None:
    read = ("1-0:1.8.0", "1-0:32.7.0")
    with dlt645_meter("000020240817", energy={"00010000": 12345.67}, variable={"02010100": 231.4}) as port:
        config = installation(
            tmp_path, f"tcp://127.0.0.1:{port}", "dlt645", "M1,dlt645_2007_1p,village,000020240817,,house-1", read=read
        )
        readings, ended = await read_json(config)
    assert ended.status == 0, ended.err
    assert values(readings) == {"1-0:1.8.0": Decimal("12345.67"), "1-0:32.7.0": Decimal("231.4")}


async def test_a_serial_line_through_a_pty_pair(tmp_path: Path) -> None:
    """Framed by pymodbus, in two pieces."""

    def device(data: bytes) -> Iterable[tuple[float, bytes]]:
        body = data[:2] + bytes([4]) + struct.pack(">f", 76543.5)
        frame = body + FramerRTU.compute_CRC(body).to_bytes(2, "big")
        return [(0.01, frame[:3]), (0.02, frame[3:])]

    with plugged_in(device) as pty:
        link = f"serial://{pty.path}?baudrate=9600"
        readings, ended = await read_json(installation(tmp_path, link, "modbus-rtu", "M1,eastron_sdm120,village,9,,"))
    assert ended.status == 0, ended.err
    assert values(readings) == {"1-0:1.8.0": Decimal("76543.5")}


async def test_two_meters_and_a_silent_one_on_a_2400_8e1_line(tmp_path: Path) -> None:
    """DL/T 645 frames written out by hand, with a preamble and a trailing FF; meter 3 is silent and named."""

    def device(data: bytes) -> Iterable[tuple[float, bytes]]:
        frame = data.lstrip(b"\xfe")
        meter = frame[1]
        if meter == 3:
            return []
        payload = bytes.fromhex("00000100") + bytes([0x10 + meter, 0x45, 0x23, 0x01])
        body = frame[:8] + b"\x91\x08" + bytes(byte + 0x33 & 0xFF for byte in payload)
        return [(0.02, b"\xfe\xfe" + body + bytes([sum(body) & 0xFF, 0x16]) + b"\xff")]

    rows = [f"M{n},dlt645_2007_1p,village,{n:012d},," for n in (1, 2, 3)]
    with plugged_in(device) as pty:
        link = f"serial://{pty.path}?baudrate=2400&parity=E"
        config = installation(tmp_path, link, "dlt645", *rows)
        config.write_text(config.read_text("utf-8").replace('"3s"', '"400ms"\nretries = 1'), encoding="utf-8")
        readings, ended = await read_json(config)
    assert {one["meter"]: Decimal(one["value"]) for one in readings} == {
        "M1": Decimal("12345.11"),
        "M2": Decimal("12345.12"),
    }
    assert ended.status == 1
    assert "M3" in ended.err
    assert "no_answer" in ended.err
