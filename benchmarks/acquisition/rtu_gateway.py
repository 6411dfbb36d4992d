"""A gateway with meters behind it, in a process of its own: Modbus RTU over TCP, one answer at a time, as a bus is.

It says at the end what it did: how long the bus was needed for what was asked, lateness included. A register's value is known
from its unit and address, so that an answer taken for another's shows.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection

import uvloop

from tests.links.late_device import crc


@dataclass(frozen=True, slots=True)
class Behaviour:
    """`late`: the share of answers of `late_units` that come `late_s` (from, to) after their question. `short`: the unit whose
    answers lack a register.
    """

    reply_s: float = 0.03
    late: float = 0.0
    late_s: tuple[float, float] = (0.0, 0.0)
    late_units: frozenset[int] = frozenset()
    short: int = 0
    seed: int = 20260314


@dataclass(slots=True)
class Account:
    """What it did. `needed_s`: from each question to its answer, all together."""

    questions: int = 0
    late: int = 0
    needed_s: float = 0.0
    first_at: float = 0.0
    last_at: float = 0.0


def shown(unit: int, address: int) -> int:
    """What a uint32 register holds."""
    return unit * 1_000_000 + address


class _Bus(asyncio.Protocol):
    def __init__(self, behaviour: Behaviour, account: Account) -> None:
        self._behaviour, self._account = behaviour, account
        self._dice = random.Random(behaviour.seed)
        self._held = b""
        self._free_at = 0.0
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self._held += data
        while len(self._held) >= 8:
            question, self._held = self._held[:8], self._held[8:]
            if crc(question[:6]) == question[6:]:
                self._answer(*struct.unpack(">BBHH", question[:6]))

    def _answer(self, unit: int, function: int, first: int, count: int) -> None:
        loop, behaviour, account = asyncio.get_running_loop(), self._behaviour, self._account
        now, after_s = loop.time(), behaviour.reply_s
        if unit in behaviour.late_units and self._dice.random() < behaviour.late:
            after_s = self._dice.uniform(*behaviour.late_s)
            account.late += 1
        self._free_at = max(now, self._free_at) + after_s
        account.questions += 1
        account.first_at = account.first_at or now
        account.needed_s += self._free_at - now
        words = b"".join(struct.pack(">I", shown(unit, address)) for address in range(first, first + count, 2))
        if unit == behaviour.short:
            words = words[:-2]
        body = bytes([unit, function, len(words)]) + words
        loop.call_at(self._free_at, self._say, body + crc(body))

    def _say(self, frame: bytes) -> None:
        self._account.last_at = asyncio.get_running_loop().time()
        if not self._transport.is_closing():
            self._transport.write(frame)


def _serve(pipe: Connection, behaviour: Behaviour) -> None:
    account = Account()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Bus(behaviour, account), "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        asked = asyncio.Event()
        loop.add_reader(pipe.fileno(), asked.set)
        await asked.wait()
        pipe.send(account)

    uvloop.run(main())


@contextlib.contextmanager
def gateway(behaviour: Behaviour, account: Account) -> Iterator[int]:
    """Its port, as long as the block lasts; then `account` is filled in."""
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(there, behaviour), daemon=True)
    process.start()
    try:
        yield here.recv()
        here.send("that was it")
        did: Account = here.recv()
        for name in Account.__slots__:
            setattr(account, name, getattr(did, name))
    finally:
        process.terminate()
        process.join()
