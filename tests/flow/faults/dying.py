"""The daemon, made to die at an exact step, as a process of its own.

    python -c "from tests.flow.faults.dying import main; main()" CONFIG STEP N

It begins when its stdin has a line, says `receipt METER TIME` for every reading that the ledger gave a receipt for, and dies
by its own SIGKILL at the N-th `before commit` or `after commit` of what a meter said, or never. `forgetful` is the weak variant:
it gives a receipt at once and commits four batches later.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from collector.clock import SystemClock
from collector.daemon import Daemon, run_daemon
from collector.settings.loading import load_profiles, load_settings
from storage.engine import open_ledger
from storage.office import office
from storage.records import Batch, Receipt

DIED = -signal.SIGKILL
HELD = 4
TURNS = 10
"""Of the loop before a commit: it takes a while, and what was queued for anybody too early leaves meanwhile."""


class Dying:
    """A ledger in front of the real one."""

    def __init__(self, ledger: object, step: str, n: int) -> None:
        self._ledger, self._step, self._left = ledger, step, n
        self._held: list[Batch] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._ledger, name)

    async def append(self, batch: Batch) -> Receipt:
        """Commit, and say so."""
        if not batch.frames:  # nobody said anything: a window has closed
            return await self._ledger.append(batch)  # type: ignore[attr-defined,no-any-return]
        for _ in range(TURNS):
            await asyncio.sleep(0)
        self._pass("before commit")
        if self._step == "forgetful":
            receipt = await self._later(batch)
        else:
            receipt = await self._ledger.append(batch)  # type: ignore[attr-defined]
        self._pass("after commit")
        for reading in batch.readings:
            sys.stdout.write(f"receipt {reading.meter} {reading.quantity} {reading.time.isoformat()}\n")
        sys.stdout.flush()
        return receipt

    async def _later(self, batch: Batch) -> Receipt:
        self._held.append(batch)
        while len(self._held) > HELD:
            await self._ledger.append(self._held.pop(0))  # type: ignore[attr-defined]
        return Receipt(len(batch.readings), 0, 0, len(batch.readings))

    def _pass(self, step: str) -> None:
        self._left -= step == self._step
        if self._left < 0:
            os.kill(os.getpid(), signal.SIGKILL)


async def live(config: Path, step: str, n: int) -> None:
    """Until SIGTERM, or death."""
    settings = load_settings(config)
    ledger = await open_ledger(settings.storage.url.url, create=True)
    with office(settings.storage.url.url):
        dying = Dying(ledger, step, n)
        daemon = Daemon(settings, load_profiles(settings), dying, clock=SystemClock())  # type: ignore[arg-type]
        await run_daemon(daemon, lambda: None)
    await ledger.close()


def main() -> None:
    """As its arguments say."""
    sys.stdin.readline()
    asyncio.run(live(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
