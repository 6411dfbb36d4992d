"""An order on a busy line is begun after the question under way, not after the visit; a plan is not starved by orders."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from collector.clock import SystemClock
from collector.daemon import Daemon
from collector.jobs.asking import ReadWanted, order_for
from collector.jobs.poll import Poll
from collector.settings.loading import load_settings
from protocols.profile import builtin_profiles
from storage.ledger.port import Ledger
from storage.memory import MemoryLedger
from storage.orders import Order, OrderKind, OrderState
from tests.flow.daemons import installation
from tests.flow.gateway import ENERGY, Gateway

FIRST, SECOND = (1, ENERGY), (1, 346)
"""Two questions of one visit to m1: what its plan reads lies far apart."""


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while True:
            if true():
                return
            await asyncio.sleep(0.005)


async def ended(ledger: Ledger, id_: str) -> Order:
    """The order, once it has come to its end."""
    async with asyncio.timeout(20):
        while True:
            order = await ledger.order(id_)
            if order is not None and order.state not in (OrderState.WAITING, OrderState.TAKEN):
                return order
            await asyncio.sleep(0.005)


async def asked_meanwhile(folder: Path) -> list[tuple[int, int]]:
    """An order for two meters comes while the first question of a visit to m1 is under way: what is asked, in its order."""
    with Gateway() as gateway:
        gateway.open.clear()
        config = installation(
            folder,
            gateway.channel(more='timeout = "20s"'),
            meters="m1,eastron_sdm630,a,1\nm2,eastron_sdm630,a,2\nm3,eastron_sdm630,a,3\n",
            every="1s",
        )
        plan = config.read_text("utf-8").replace('read = ["1-0:1.8.0"]', 'read = ["1-0:1.8.0", "1-0:21.8.0"]')
        config.write_text(plan, "utf-8")
        ledger, clock = MemoryLedger(), SystemClock()
        daemon = Daemon(load_settings(config), builtin_profiles(), ledger, clock=clock, settle=False, orders="here:1")
        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            tasks.create_task(daemon.run())
            await until(lambda: len(gateway.asked) == 1)
            assert gateway.asked == [FIRST]
            wanted = ReadWanted(("m2", "m3"), None, 10.0)
            order = order_for(OrderKind.READ, wanted, by="li", now=clock.now(), within=timedelta(minutes=1))
            await ledger.place_order(order)
            await until(lambda: len(daemon._on_demand) == 2)
            gateway.open.set()
            await until(lambda: len(gateway.asked) >= 6)
            done = await ended(ledger, order.id)  # a daemon that is stopped before would leave it to the next one
            daemon.stop()
        assert done.state is OrderState.DONE
        return gateway.asked[:6]


async def test_an_order_goes_between_two_questions_of_a_visit(tmp_path: Path) -> None:
    asked = await asked_meanwhile(tmp_path)
    # One of the order's visits (each two questions) goes between, the other after the visit that gave way.
    assert [unit for unit, _ in asked] == [1, 2, 2, 1, 3, 3]
    assert asked[3] == SECOND


async def test_a_visit_that_gives_no_way_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: built without giving way, the order waits for the end of the visit."""
    monkeypatch.setattr(Poll, "_between", lambda *_: None)
    asked = await asked_meanwhile(tmp_path)
    assert asked[:2] == [FIRST, SECOND]
    assert [unit for unit, _ in asked] == [1, 1, 2, 2, 3, 3]
