"""Device identification of devices that we did not write, and why not."""

from __future__ import annotations

import asyncio
import socket

import pytest

from collector.acquisition.identify import Identification, identify
from tests.flow.commands import finish, start
from tests.links.peers import pymodbustcp_server
from tests.links.serving import serving


async def test_a_device_says_what_it_is() -> None:
    with pymodbustcp_server(identity=("Eastron", "SDM630", "V2.1\x00")) as port:
        found = await identify("127.0.0.1", port, 1)
    assert found == Identification("Eastron", "SDM630", "V2.1")


async def test_a_device_that_does_not_know_the_function() -> None:
    with pymodbustcp_server() as port:
        found = await identify("127.0.0.1", port, 1)
    assert found.vendor == ""
    assert "exception" in found.why_not


async def test_nobody_is_there() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        found = await identify("127.0.0.1", port, 1, timeout_s=1.0)
    assert found == Identification(why_not=f"no connection to 127.0.0.1:{port}")


async def test_a_device_that_never_answers() -> None:
    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(mute) as port:
        found = await identify("127.0.0.1", port, 1, timeout_s=0.2)
    assert found.why_not.startswith("no answer to function 43 within ")


@pytest.mark.parametrize("pdu", ["2b0e01", "2b", "ab", "0304"])
async def test_a_device_that_answers_nonsense_is_one_sentence(pdu: str) -> None:
    async def liar(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while asked := await reader.read(300):
            said = bytes.fromhex(pdu)
            writer.write(asked[:4] + (len(said) + 1).to_bytes(2, "big") + asked[6:7] + said)

    async with serving(liar) as port:
        process = start("probe", f"tcp://127.0.0.1:{port}", "--protocol", "modbus-tcp", "--address", "1")
        ended = await asyncio.get_running_loop().run_in_executor(None, finish, process)
    assert ended.status == 1
    assert "Traceback" not in ended.err
    assert ended.err.count("\n") <= 2, ended.err
