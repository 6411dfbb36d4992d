"""`scan`: who is on a line? The devices are other people's (tests/peers), but for the one that is interrupted."""

import asyncio
import json
import os
import signal
import socket
from datetime import timedelta
from typing import Any

import pytest

from collector.acquisition.scan import DISTURBED, HEARD_ONLY, LATE, NO_SHORT, UNDIVIDED, UNNAMED
from collector.cli.scan import PATIENCE, WHY, spoken
from protocols.dialects import DIALECTS
from tests.flow.commands import finish, run, start
from tests.links.peers import dlt645_meter, pymodbustcp_server
from tests.links.serving import serving
from tests.links.test_modbus_tcp_peer import words
from tests.links.test_scanning import Meter

KEYS = ["protocol", "address", "sure", "note", "vendor", "product", "revision", "serial", "profiles", "shows"]
SDM630 = {0: [*words(231.5), *words(230.5), *words(229.5)], 70: words(50.0)}


def found(*args: object, status: int = 0) -> tuple[dict[str, dict[str, Any]], str]:
    """The devices by address, and what was said of them."""
    done = run("scan", *args, "--json")
    assert done.exit_code == status, done.output
    devices = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(list(one) == KEYS for one in devices)
    return {one["address"]: one for one in devices}, done.stderr


def test_a_device_that_does_not_look_at_the_unit_is_one() -> None:
    with pymodbustcp_server(input_=SDM630, holding={64512: [0, 4711]}, identity=("Eastron", "SDM630", "1.7")) as port:
        devices, said = found(f"tcp://127.0.0.1:{port}", "--protocol", "modbus-tcp", "--timeout", "10s")
    assert devices == {
        "1": {
            "protocol": "modbus-tcp", "address": "1", "sure": True, "note": None,
            "vendor": "Eastron", "product": "SDM630", "revision": "1.7", "serial": "4711",
            "profiles": ["eastron_sdm630"],
            "shows": {"1-0:32.7.0": "231.50", "1-0:52.7.0": "230.50", "1-0:72.7.0": "229.50", "1-0:14.7.0": "50.00"},
        }
    }  # fmt: skip
    assert "this is one device that does not look at the unit" in said
    assert "1 device found; 247 questions asked\n" in said


def test_units_that_are_asked_for() -> None:
    with pymodbustcp_server(input_={0: words(0.0)}) as port:
        url = f"tcp://127.0.0.1:{port}"
        devices, _ = found(url, "--protocol", "modbus-tcp", "--timeout", "10s", "--from", "7", "--to", "8")
        table = run("scan", url, "--protocol", "modbus-tcp", "--timeout", "10s", "--from", "7", "--to", "7")
    assert list(devices) == ["7", "8"]
    assert [one["profiles"] for one in devices.values()] == [[], []], "no voltage, no guess"
    assert table.stdout.splitlines()[2].split() == ["7"]


def test_a_dlt645_meter_and_the_time_that_is_up() -> None:
    with dlt645_meter("000020240817", energy={"00010000": 1.5}, variable={"02010100": 231.4, "02800002": 50.0}) as port:
        url = f"tcp://127.0.0.1:{port}"
        devices, said = found(url, "--protocol", "dlt645", "--timeout", "500ms", "--within", "4s")
    assert list(devices) == ["000020240817"]
    assert devices["000020240817"]["profiles"] == ["dlt645_2007_1p"]
    assert devices["000020240817"]["shows"] == {"1-0:32.7.0": "231.4", "1-0:14.7.0": "50.00"}
    assert "stopped with " in said
    assert "hidden behind it" not in said, "it was not even searched"


def test_nobody_there_is_status_1() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        devices, said = found(url, "--protocol", "modbus-rtu", "--timeout", "20ms", "--to", "2", status=1)
    assert devices == {}
    assert "0 devices found; 4 questions asked" in said
    assert "nobody answers: is the speed right" in said


def test_a_medium_that_is_not_there_is_status_1() -> None:
    devices, said = found("tcp://127.0.0.1:1", "--protocol", "dlt645", status=1)
    assert devices == {}
    assert "connection_refused: 127.0.0.1:1" in said
    assert "is the speed right" not in said


HERE = "tcp://127.0.0.1:1"


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ((HERE, "--protocol", "dlt654"), 'did you mean "dlt645"?'),
        (("udp://127.0.0.1:1", "--protocol", "dlt645"), "is no link"),
        (("mqtt://127.0.0.1", "--protocol", "dlt645"), "dlt645 cannot go over mqtt://"),
        ((HERE, "--protocol", "dlt645", "--from", "2"), "--from and --to are for Modbus"),
        ((HERE, "--protocol", "modbus-tcp", "--verify", "12"), "--verify is for DL/T 645"),
        ((HERE, "--protocol", "modbus-tcp", "--from", "9", "--to", "2"), "--from 9 is behind --to 2"),
        ((HERE, "--protocol", "modbus-tcp", "--to", "248"), "248"),
        ((HERE, "--protocol", "dlt645", "--verify", "3"), "'3'"),
        ((HERE, "--protocol", "dlt645", "--timeout", "1"), "--timeout: '1' is no duration"),
        ((HERE, "--protocol", "dlt645", "--within", "2d"), "--within: 2d: 10ms – 1d"),
    ],
)
def test_wrong_usage_is_status_2(args: tuple[str, ...], says: str) -> None:
    done = run("scan", *args)
    assert done.exit_code == 2, done.output
    assert says in done.stderr


async def test_ctrl_c_gives_what_was_found_and_a_terminal_sees_how_far_it_is() -> None:
    meter, found_it = Meter("240300000117"), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            question = data.lstrip(b"\xfe")
            writer.write(meter.answer(question))
            if question[1] == 0x03:  # the fourth of the hundred, long after the meter was proven
                found_it.set()

    terminal, end = os.openpty()
    async with serving(serve) as port:
        args = ("scan", f"tcp://127.0.0.1:{port}", "--protocol", "dlt645", "--timeout", "300ms", "--json")
        process = start(*args, stderr=end)
        async with asyncio.timeout(30):
            await found_it.wait()
        process.send_signal(signal.SIGINT)
        ended = await asyncio.get_running_loop().run_in_executor(None, finish, process)
    os.close(end)
    seen = os.read(terminal, 1 << 16).decode()
    os.close(terminal)
    assert ended.status == 130
    assert [json.loads(line)["address"] for line in ended.out.splitlines()] == ["240300000117"]
    assert "1 found, question " in seen
    assert "1 device found; " in seen
    assert "still to ask" in seen


def test_every_reason_has_words_and_every_protocol_its_patience() -> None:
    assert set(WHY) == {DISTURBED, UNNAMED, LATE, UNDIVIDED, HEARD_ONLY, NO_SHORT}
    assert set(PATIENCE) == set(DIALECTS)


@pytest.mark.parametrize(("seconds", "words"), [(1, "1s"), (119, "119s"), (120, "2m"), (605, "10m"), (7300, "122m")])
def test_spans_as_people_need_them(seconds: int, words: str) -> None:
    assert spoken(timedelta(seconds=seconds)) == words
