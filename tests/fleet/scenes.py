"""Small fleets for these tests, and a hand that asks them: plain sockets and bytes, no client of anybody's."""

import asyncio
import struct
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from protocols.profile import builtin_profiles
from simulators.fleet import Fleet
from simulators.scenario import load_scenario

PROFILES = builtin_profiles()
START = datetime(2024, 3, 14, 20, 0, tzinfo=ZoneInfo("Asia/Shanghai"))
HEAD = 'format = 1\ntitle = "a test"\nstart = 2024-03-14T20:00:00+08:00\n'
DEADLINE_S = 5.0


class Hands:
    """A civil clock that stands where it was put."""

    def __init__(self, at: datetime = START) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    def turn(self, **by: int) -> datetime:
        self.at += timedelta(**by)
        return self.at


def fleet(folder: Path, text: str, hands: Hands) -> Fleet:
    """A fleet from the text of a scenario."""
    path = folder / "scene.toml"
    path.write_text(HEAD + text, encoding="utf-8")
    return Fleet(load_scenario(path, PROFILES), now=hands.now, profiles=PROFILES)


class Caller:
    """One TCP connection to a listener, spoken to in bytes."""

    def __init__(self, url: str) -> None:
        self._port = int(url.rpartition(":")[2])

    async def __aenter__(self) -> "Caller":
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()
        await self._writer.wait_closed()

    async def say(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def hear(self, count: int, within_s: float = DEADLINE_S) -> bytes:
        """Exactly that many bytes."""
        async with asyncio.timeout(within_s):
            return await self._reader.readexactly(count)

    async def hears_nothing(self, for_s: float = 0.2) -> bool:
        """Silence is what a timeout sees."""
        try:
            async with asyncio.timeout(for_s):
                return not await self._reader.read(1)
        except TimeoutError:
            return True


async def read_registers(caller: Caller, unit: int, first: int, count: int, function: int = 4) -> bytes:
    """A Modbus TCP request made by hand; the data of its answer, with every field of the head checked."""
    await caller.say(struct.pack(">HHHBBHH", 7, 0, 6, unit, function, first, count))
    head = await caller.hear(8)
    transaction, protocol, length, answering, answered = struct.unpack(">HHHBB", head)
    rest = await caller.hear(length - 2)
    assert (transaction, protocol, answering) == (7, 0, unit)
    if answered & 0x80:
        return bytes([answered]) + rest
    assert answered == function
    assert rest[0] == len(rest) - 1 == count * 2
    return rest[1:]
