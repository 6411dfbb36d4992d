"""F49, F50: rights that are taken away while we are subscribed, and another client that takes our session."""

from __future__ import annotations

import asyncio
import logging
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from collector.acquisition.backoff import Backoff
from collector.acquisition.intake import Intake, Pushed
from collector.acquisition.mqtt_connection import Broker
from collector.acquisition.mqtt_link import MqttLink
from collector.acquisition.takeovers import Takeovers
from collector.clock import SystemClock
from simulators.concentrator_store import Forgets
from simulators.truth import Truth
from storage.records import Batch, Judged, Receipt
from tests.flow.faults.conftest import Tell
from tests.flow.faults.mailbox import mailbox, messages, standing
from tests.flow.faults.oracle import all_pushed, nothing_lost
from tests.flow.faults.street import SEED, START
from tests.flow.faults.test_brokers import DAY, NOW, asking, at_work, settled, standing_broker
from tests.links.broker import SOUND, TALKATIVE, Mosquitto, needs_mosquitto

pytestmark = needs_mosquitto

PUBLISHER = "user meters\ntopic readwrite #\n"
US = "user collector\ntopic readwrite meters/#\n"


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "collector")
    return caplog


async def alarm(said: pytest.LogCaptureFixture, part: str, within_s: float = 10) -> float:
    """How long it took until somebody said so, as an error."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.timeout(within_s):
        while not any(part in one.message for one in said.records if one.levelno == logging.ERROR):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return loop.time() - began


class Guarded:
    """A broker that knows two users, and may be told otherwise while it runs."""

    def __init__(self, folder: Path) -> None:
        self.acl = folder / "acl"
        self.passwords = folder / "passwords"
        self.allow(PUBLISHER + US)
        for user in ("meters", "collector"):
            self._mosquitto_passwd(*(() if self.passwords.exists() else ("-c",)), "-b", self.passwords, user, "right")
        users = ("allow_anonymous false", f"password_file {self.passwords}", f"acl_file {self.acl}")
        self.broker = Mosquitto(folder, *SOUND, *TALKATIVE, users=users)

    def allow(self, rules: str) -> None:
        self.acl.write_text(rules, "utf-8")
        self.acl.chmod(0o600)

    def forget(self, user: str) -> None:
        self._mosquitto_passwd("-D", self.passwords, user)

    def _mosquitto_passwd(self, *arguments: object) -> None:
        subprocess.run(["mosquitto_passwd", *map(str, arguments)], check=True, timeout=10, capture_output=True)

    async def reload(self) -> None:
        assert self.broker._process
        self.broker._process.send_signal(signal.SIGHUP)
        await self.broker.logs("Reloading config")


@asynccontextmanager
async def guarded(folder: Path) -> AsyncIterator[Guarded]:
    place = folder / "broker"
    place.mkdir()
    one = Guarded(place)
    await asyncio.to_thread(one.broker.start)
    try:
        yield one
    finally:
        await asyncio.to_thread(one.broker.stop)


LOGIN, METERS = ("collector", "right"), ("meters", "right")
QUICK_CANARY = {"every_s": 0.2, "patience_s": 0.5}
"""A hundredth of the real ones: 20 s and 20 s."""


async def test_the_right_to_read_is_taken_away(tmp_path: Path, said: pytest.LogCaptureFixture, tell: Tell) -> None:
    """F49: the broker says nothing, grants the subscription again, and gives nothing. The concentrator keeps what it has."""
    truth, rows = Truth(), standing(1)
    made = messages(rows, truth, START, START + DAY, SEED)
    async with guarded(tmp_path) as door, at_work(door.broker, "acknowledged", login=METERS) as one:
        canary = ("meters/us/reading", QUICK_CANARY)
        async with mailbox(tmp_path, door.broker, rows, NOW, gaps=asking(), canary=canary, login=LOGIN) as box:
            one.take(made[:40])
            await asyncio.wait_for(one.emptied(), 10)
            assert not [one for one in said.records if one.levelno == logging.ERROR]
            door.allow(PUBLISHER + "user collector\ntopic write meters/#\n")
            await door.reload()
            one.take(made[40:])
            took = await alarm(said, "no longer lets us read")
            assert len(one.store) == len(made) - 40
            door.allow(PUBLISHER + US)
            await door.reload()
            await asyncio.wait_for(one.emptied(), 20)
            nothing_lost(box.committed, await box.stored())
            all_pushed(truth, await box.stored())
            assert not await box.ledger.dead_letters()  # what we say to ourselves is no message
    tell("F49", f"right to read taken away: alarm after {took:.1f} s of 0.7 s (40 s where nothing is hurried), 0 lost")


async def test_without_a_canary_nobody_notices(tmp_path: Path, said: pytest.LogCaptureFixture) -> None:
    rows = standing(1)
    async with guarded(tmp_path) as door, mailbox(tmp_path, door.broker, rows, NOW, login=LOGIN):
        door.allow(PUBLISHER)
        await door.reload()
        with pytest.raises(TimeoutError):
            await alarm(said, "", within_s=2)


async def test_the_right_to_answer_is_taken_away(tmp_path: Path, said: pytest.LogCaptureFixture) -> None:
    """Acknowledgements are confirmed, so a broker that drops them is found out; what was not heard is said again."""
    truth, rows = Truth(), standing(1)
    made = messages(rows, truth, START, START + DAY, SEED)
    async with (
        guarded(tmp_path) as door,
        at_work(door.broker, "acknowledged", login=METERS) as one,
        mailbox(tmp_path, door.broker, rows, NOW, gaps=asking(), login=LOGIN),
    ):
        door.allow(PUBLISHER + "user collector\ntopic read meters/#\n")
        await door.reload()
        one.take(made)
        await alarm(said, "concentrators hear nothing from us")
        assert len(one.store) == len(made)
        door.allow(PUBLISHER + US)
        await door.reload()
        await asyncio.wait_for(one.emptied(), 20)


async def test_our_password_is_taken_away(tmp_path: Path, said: pytest.LogCaptureFixture, tell: Tell) -> None:
    truth, rows = Truth(), standing(1)
    made = messages(rows, truth, START, START + DAY, SEED)
    async with (
        guarded(tmp_path) as door,
        at_work(door.broker, "acknowledged", login=METERS) as one,
        mailbox(tmp_path, door.broker, rows, NOW, gaps=asking(), login=LOGIN) as box,
    ):
        door.forget("collector")
        await door.reload()
        took = await alarm(said, "refuses the user 'collector' or the password")
        one.take(made)
        door._mosquitto_passwd("-b", door.passwords, "collector", "right")
        await door.reload()
        await asyncio.wait_for(one.emptied(), 20)
        all_pushed(truth, await box.stored())
    errors = [one.message for one in said.records if one.levelno == logging.ERROR]
    assert len(errors) == 1  # said once, not with every try
    tell("F49", f"password revoked: alarm after {took:.1f} s, 0 lost")


# --- F50 ----------------------------------------------------------------------------------------------------------------


class Loot(Intake):
    """Counts what comes; nothing is ever stored."""

    def __init__(self) -> None:
        super().__init__(limit=10_000)
        self.took = 0

    def offer(self, message: Pushed) -> None:
        self.took += 1


def thief_at(broker: Mosquitto, loot: Loot) -> MqttLink:
    """Another client of our name, that acknowledges every message and wants its place back whenever it loses it."""
    where = Broker(broker.host, broker.port, "chaobiao-faults", ("meters/+/reading",))
    impatient = Backoff(first_s=0.02, ceiling_s=0.05)
    thief = MqttLink(where, loot, SystemClock(), backoff=impatient, takeovers=Takeovers(pause_s=0), manual_ack=False)
    thief.name = "the thief"
    return thief


async def stolen(
    folder: Path, forgets: Forgets, takeovers: Takeovers
) -> tuple[Truth, list[Judged], list[tuple[Batch, Receipt]], int, int]:
    """Three seconds with a thief; then it is gone."""
    truth, rows = Truth(), standing(2)
    made = messages(rows, truth, START, START + DAY, SEED)
    gaps = asking() if forgets == "acknowledged" else None
    async with (
        standing_broker(folder) as broker,
        at_work(broker, forgets) as one,
        mailbox(folder, broker, rows, NOW, gaps=gaps, takeovers=takeovers) as box,
    ):
        loot = Loot()
        stealing = asyncio.create_task(thief_at(broker, loot).run())
        for n in range(30):
            one.take(made[n * 5 : n * 5 + 5])
            await asyncio.sleep(0.1)
        fights = len(broker.logged("already connected, closing old connection"))
        stealing.cancel()
        await asyncio.wait((stealing,))
        assert stealing.cancelled(), stealing.exception()
        await asyncio.wait_for(box.subscribed(), 20)
        one.take(made[150:])
        await settled(one, box)
        return truth, await box.stored(), box.committed, loot.took, fights


async def test_our_session_is_taken(tmp_path: Path, said: pytest.LogCaptureFixture, tell: Tell) -> None:
    """F50: said once, left alone for a while, and what the thief acknowledged is asked for again."""
    truth, stored, committed, taken, fights = await stolen(tmp_path, "acknowledged", Takeovers(pause_s=1.0))
    nothing_lost(committed, stored)
    all_pushed(truth, stored)
    assert taken > 20
    assert fights <= 14
    alarms = [one.message for one in said.records if "takes our session" in one.message and "thief" not in one.message]
    assert len(alarms) == 1
    tell("F50", f"{taken} messages taken by another client of our name, {fights} takeovers in 3 s, 0 lost")


async def test_without_pause_and_acknowledgement(tmp_path: Path, tell: Tell) -> None:
    truth, stored, _, _, fights = await stolen(tmp_path, "confirmed", Takeovers(pause_s=0))
    with pytest.raises(AssertionError, match="I1: "):
        all_pushed(truth, stored)
    assert fights > 20
    tell("F50", f"without: {fights} takeovers in 3 s, {len(truth.shown) - len(stored)} values lost")
