"""Death between a commit and its acknowledgement, and before the commit: nothing lost, nothing twice (promises 2 and 8).

No luck in it: the daemon kills itself at that step. The broker's log is the witness of what was acknowledged and what was sent
again, SQLite of what was committed.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.flow.faults.dying import DIED
from tests.flow.killing import DAEMON, asked, configured, expected, running, stored, tell
from tests.flow.publishing import reading
from tests.links.broker import SOUND, TALKATIVE, Mosquitto, needs_mosquitto

pytestmark = needs_mosquitto

MESSAGES = 100
DYING = "from tests.flow.faults.dying import main; main()"
CARELESS = """\
import asyncio, sys
from pathlib import Path
from tests.flow.careless import receive
from tests.flow.faults.dying import Dying
sys.stdin.readline()
config, step, n = sys.argv[1:]
asyncio.run(receive(Path(config), lambda ledger: Dying(ledger, step, int(n))))
"""
SUBSCRIBED = "Sending SUBACK to chaobiao-broker"
SENT = "Sending PUBLISH to chaobiao-broker (d0, q1"
SENT_AGAIN = "Sending PUBLISH to chaobiao-broker (d1, q1"
ACKNOWLEDGED = "Received PUBACK from chaobiao-broker"
GONE = "Client chaobiao-broker "


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    folder = tmp_path / "broker"
    folder.mkdir()
    mosquitto = Mosquitto(folder, *SOUND, *TALKATIVE)
    mosquitto.start()
    yield mosquitto
    mosquitto.stop()


@dataclass(frozen=True)
class Lives:
    """Of two lives. `committed`, `acknowledged`: messages at the death of the first. `outstanding`: sent to it and never
    acknowledged. `again`: what the broker sent to the second once more; `frames`: messages in the database at the end.
    """

    database: Path
    committed: int
    acknowledged: int
    outstanding: int
    again: int
    frames: int


def frames(database: Path) -> int:
    ((count,),) = asked(database, "SELECT count(*) FROM raw_frame")
    assert isinstance(count, int)
    return count


async def publish(broker: Mosquitto, numbers: Iterable[int]) -> None:
    by_topic: dict[str, list[str]] = {}
    for topic, payload in map(reading, numbers):
        by_topic.setdefault(topic, []).append(payload)
    for topic, payloads in by_topic.items():
        await asyncio.to_thread(broker.publish_lines, topic, payloads)


async def die_and_live(code: str, step: str, before: int, folder: Path, broker: Mosquitto) -> Lives:
    """One that dies at a step, with as many batches `before` that came through, then the daemon as it is."""
    config = configured(folder, broker)
    database = config.with_name("ledger.db")
    with running(code, config, step, before) as dying, running(DAEMON, "run", "-c", config) as daemon:
        tell(dying)  # (the other loads meanwhile)
        await broker.logs(SUBSCRIBED)
        for n in range(before):
            await publish(broker, [n])
            await broker.logs(ACKNOWLEDGED, n + 1)
        await publish(broker, range(before, MESSAGES))
        assert await asyncio.to_thread(dying.wait, 20) == DIED
        await broker.logs(GONE)
        committed, acknowledged, sent = frames(database), len(broker.logged(ACKNOWLEDGED)), len(broker.logged(SENT))
        assert not broker.logged(SENT_AGAIN)
        tell(daemon)
        await broker.logs(ACKNOWLEDGED, MESSAGES)
        daemon.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(daemon.wait, 20) == 0
    await broker.logs(GONE, 2)
    assert len(broker.logged(ACKNOWLEDGED)) == MESSAGES
    again = len(broker.logged(SENT_AGAIN))
    return Lives(database, committed, acknowledged, sent - acknowledged, again, frames(database))


@pytest.mark.parametrize("before", [0, 2])
async def test_death_between_commit_and_acknowledgement(before: int, tmp_path: Path, broker: Mosquitto) -> None:
    lives = await die_and_live(DYING, "after commit", before, tmp_path, broker)
    assert lives.acknowledged == before < lives.committed
    assert lives.again == lives.outstanding >= lives.committed - lives.acknowledged
    assert lives.frames == MESSAGES + lives.committed - lives.acknowledged  # those were committed a second time
    assert stored(lives.database) == expected(MESSAGES)
    assert asked(lives.database, "SELECT count(*) FROM conflict") == [(0,)]


@pytest.mark.parametrize("before", [0, 2])
async def test_death_before_the_commit(before: int, tmp_path: Path, broker: Mosquitto) -> None:
    lives = await die_and_live(DYING, "before commit", before, tmp_path, broker)
    assert lives.acknowledged == before == lives.committed
    assert lives.again == lives.outstanding > 0
    assert lives.frames == MESSAGES
    assert stored(lives.database) == expected(MESSAGES)
    assert asked(lives.database, "SELECT count(*) FROM conflict") == [(0,)]


async def test_who_acknowledges_on_arrival_loses_what_was_not_committed(tmp_path: Path, broker: Mosquitto) -> None:
    """The control: acknowledged before the commit is lost for ever."""
    lives = await die_and_live(CARELESS, "before commit", 0, tmp_path, broker)
    lost = set(expected(MESSAGES)) - set(stored(lives.database))
    assert (lives.committed, len(lost)) == (0, lives.acknowledged)
    assert lost
