"""An event loop whose time stands still while anything can be done, and then jumps to the next timer.

Ten thousand exchanges with seconds of waiting each take moments, and always in the same order. For in-memory links only:
nothing from outside can wake it.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

T = TypeVar("T")


class Asleep(RuntimeError):
    """Everybody waits, and no timer will wake anybody."""


class _JumpingSelector(selectors.BaseSelector):
    """Never waits: what it was told to wait is added to the time."""

    def __init__(self) -> None:
        self._inner = selectors.DefaultSelector()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = self._inner.select(0)
        if not ready:
            if timeout is None:
                raise Asleep("every task waits and no timer is set")
            self.now += max(0.0, timeout)
        return ready

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._inner.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._inner.unregister(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._inner.get_map()

    def close(self) -> None:
        self._inner.close()


class DrivenLoop(asyncio.SelectorEventLoop):
    """Begins at zero."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now

    def freeze(self, seconds: float) -> None:
        """Time passes and nobody is run, as when the process is stopped."""
        self._jumping.now += seconds


def run_driven(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end on a fresh driven loop."""
    with asyncio.Runner(loop_factory=DrivenLoop) as runner:
        return runner.run(main)
