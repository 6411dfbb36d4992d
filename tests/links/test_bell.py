"""A bell's timer is moved and not made anew, and no deadline is missed by it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from collector.acquisition.bell import Bell
from collector.acquisition.turnstile import Turnstile
from tests.links.driven_loop import run_driven


@pytest.mark.parametrize("deadlines", [[1.0, 1.5, 2.0], [3.0, 0.5, 0.7], [1.0, 1.0], [0.0, 5.0, 0.0]])
def test_each_wait_ends_at_its_own_deadline(deadlines: list[float]) -> None:
    """Whatever timers those before it have left behind, rung or not."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        bell = Bell(loop)
        for after_s in deadlines:
            rung = bell.wait(loop.time() + 10)
            loop.call_later(0.01, bell.ring)
            await rung
            due = loop.time() + after_s
            await bell.wait(due)
            assert loop.time() == pytest.approx(due)

    run_driven(main())


def test_a_bell_that_is_rung_in_time_sets_one_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        set_at: list[float] = []
        call_at = loop.call_at

        def counted(when: float, *rest: Any, **more: Any) -> asyncio.TimerHandle:
            set_at.append(when)
            return call_at(when, *rest, **more)

        monkeypatch.setattr(loop, "call_at", counted)
        bell = Bell(loop)
        for _ in range(50):
            rung = bell.wait(loop.time() + 1)
            loop.call_soon(bell.ring)
            await rung
        assert len(set_at) == 1

    run_driven(main())


def test_a_stopped_bell_leaves_no_timer() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        bell = Bell(loop)
        rung = bell.wait(loop.time() + 100)
        bell.ring()
        await rung
        bell.stop()
        assert loop.time() == 0

    run_driven(main())


def test_one_after_the_other_in_order() -> None:
    async def main() -> None:
        gate, seen = Turnstile(), list[int]()

        async def pass_through(n: int) -> None:
            await gate.enter()
            seen.append(n)
            await asyncio.sleep(1)
            seen.append(n)
            gate.leave()

        await asyncio.gather(*(pass_through(n) for n in range(4)))
        assert seen == [0, 0, 1, 1, 2, 2, 3, 3]

    run_driven(main())


@pytest.mark.parametrize("when", ["while it waits", "when it has just been let in"])
def test_who_is_cancelled_blocks_nobody(when: str) -> None:
    async def main() -> None:
        gate = Turnstile()
        assert gate.try_enter()
        first, second = asyncio.ensure_future(gate.enter()), asyncio.ensure_future(gate.enter())
        await asyncio.sleep(0)
        if when == "when it has just been let in":
            gate.leave()
            first.cancel()
        else:
            first.cancel()
            gate.leave()
        await second
        with pytest.raises(asyncio.CancelledError):
            await first
        assert not gate.try_enter()
        gate.leave()
        assert gate.try_enter()

    run_driven(main())
