"""From a message to the ledger and back to the sender: what becomes a reading, what a dead letter, and when the sender hears.

The first half has a source in memory, the second a real Mosquitto.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from collector.acquisition.backoff import Backoff
from collector.acquisition.intake import Intake, Pushed, Ticket
from collector.acquisition.mqtt_link import Broker, MqttLink
from collector.clock import DrivenClock
from collector.errors import LinkError
from collector.jobs.receive import Inbox, Receive, filled
from collector.jobs.receivers import listener, owed_slots, receivers_for, subscriber
from collector.settings.schema import Channel
from protocols.profile import builtin_profiles
from storage.engine import open_ledger
from storage.errors import DatabaseBusy, DatabaseUnusable
from storage.ledger.port import Ledger
from storage.records import Basis, Batch, Judged, Missing, Owner, Plan, PlanVersion, Receipt, Slot, Source
from storage.registry import Installation, Meter, Point, Registered
from tests.links.broker import SOUND, TALKATIVE, Mosquitto, needs_mosquitto

NOW = datetime(2026, 3, 15, 1, 0, 30, tzinfo=UTC)
QUARTER = datetime(2026, 3, 15, 1, 0, tzinfo=UTC)
ENERGY = "1-0:1.8.0"
TOPIC = "meters/4711/reading"
SHANGHAI = ZoneInfo("Asia/Shanghai")
PROFILES = builtin_profiles()


def standing(meter: str, address: str, *, channel: str = "broker") -> Registered:
    return Registered(
        Meter(meter, "json_meter", channel, address), Point(f"P-{meter}"), Installation(meter, f"P-{meter}", QUARTER)
    )


REGISTRY = (standing("m1", "4711"), standing("m2", "4712"), standing("m3", "9000", channel="elsewhere"))


def slots_for(one: Registered, quantity: str, basis: Basis, time: datetime) -> list[Slot]:
    """A plan that owes the energy of the quarter."""
    if (quantity, basis, time) == (ENERGY, Basis.INSTANT, QUARTER):
        return [Slot("quarter", one.meter.meter, quantity, basis, QUARTER)]
    return []


def inbox() -> Inbox:
    return Inbox("broker", PROFILES, REGISTRY, zone=SHANGHAI, slots_for=slots_for)


def payload(energy: object = "123.45", *, time: str = "2026-03-15T09:00:00+08:00", **more: object) -> bytes:
    return json.dumps({"time": time, "values": {ENERGY: energy}, **more}).encode()


def message(data: bytes, *, topic: str = TOPIC, n: int = 1, retained: bool = False) -> Pushed:
    return Pushed(topic, data, retained, NOW, Ticket(1, n, 1))


# --- what a message means -------------------------------------------------------------------------------------------------


def test_a_message_becomes_a_reading_in_its_slot_and_a_frame() -> None:
    batch = inbox().batch([message(payload())])
    (reading,) = batch.readings
    assert (reading.meter, reading.value, reading.source) == ("m1", 123_450_000, Source.PUSH)
    assert (reading.time, reading.received_at, reading.billable) == (QUARTER, NOW, True)
    assert filled(batch) == (Slot("quarter", "m1", ENERGY, Basis.INSTANT, QUARTER),)
    assert str(reading.data_day) == "2026-03-15"
    (frame,) = batch.frames
    assert (frame.origin, frame.meter, frame.protocol, frame.data) == (TOPIC, "m1", "mqtt-json", payload())


def test_a_freeze_counts_in_the_day_it_closes() -> None:
    def freezes(one: Registered, quantity: str, basis: Basis, time: datetime) -> list[Slot]:
        return [Slot(plan, one.meter.meter, quantity, basis, time) for plan in ("daily", "monthly")]

    post = Inbox("broker", PROFILES, REGISTRY, zone=SHANGHAI, slots_for=freezes)
    batch = post.batch([message(payload(time="2026-03-15T00:00:00+08:00", basis="freeze"))])
    assert [(str(one.data_day), one.slot and one.slot.plan) for one in batch.readings] == [
        ("2026-03-14", "daily"),
        ("2026-03-14", "monthly"),
    ]


def test_a_retained_message_counts_by_its_own_time() -> None:
    batch = inbox().batch([message(payload(time="2026-03-13T09:00:00+08:00"), retained=True)])
    assert [(one.time.day, one.slot) for one in batch.readings] == [(13, None)]


def test_a_meter_that_has_no_value_says_why_its_slot_is_empty() -> None:
    batch = inbox().batch([message(payload(None))])
    assert not batch.readings
    assert not batch.dead_letters
    slot = Slot("quarter", "m1", ENERGY, Basis.INSTANT, QUARTER)
    (missing,) = batch.missing
    assert missing == Missing(
        slot, missing.data_day, "invalid_value", Owner.METER, "6e 75 6c 6c", attempts=1, since=QUARTER
    )
    assert len(batch.frames) == 1


POISON = {
    "bad JSON": (TOPIC, b'{"time": ', "bad_payload", "not JSON"),
    "NaN": (TOPIC, b'{"time":"2026-03-15T09:00:00+08:00","values":{"1-0:1.8.0":NaN}}', "bad_payload", "NaN"),
    "a key twice": (TOPIC, payload()[:-1] + b',"time":"2026-03-15T09:00:00+08:00"}', "bad_payload", "stands twice"),
    "too long": (TOPIC, payload(note="x" * 65536), "bad_payload", "bytes; a message may have 65536"),
    "no time": (TOPIC, b'{"values":{"1-0:1.8.0":"1"}}', "bad_payload", "no time"),
    "a list": (TOPIC, b"[]", "bad_payload", "not a JSON object"),
    "nothing": (TOPIC, b"", "bad_payload", "not JSON"),
    "no text": (TOPIC, b"\xff\xfe", "bad_payload", "not UTF-8"),
    "no number": (TOPIC, payload("12,5"), "bad_payload", "no decimal number"),
    "more than 64 bits": (TOPIC, payload("1e30"), "invalid_value", ""),
    "from the future": (TOPIC, payload(time="2099-01-01T00:00:00Z"), "impossible_time", "stamped 2099"),
    "nobody's topic": ("meters/4711/alarm", payload(), "unknown_topic", ""),
    "no topic": ("", payload(), "unknown_topic", ""),
    "an unknown meter": ("meters/4799/reading", payload(), "unknown_meter", ""),
    "a meter of another channel": ("meters/9000/reading", payload(), "unknown_meter", ""),
}


@pytest.mark.parametrize("poison", POISON)
def test_poison_is_a_dead_letter_and_harms_no_other(poison: str) -> None:
    topic, data, reason, detail = POISON[poison]
    batch = inbox().batch(
        [message(payload("1")), message(data, topic=topic), message(payload("2"), topic="meters/4712/reading")]
    )
    assert [reading.meter for reading in batch.readings] == ["m1", "m2"]
    (letter,) = batch.dead_letters
    assert (letter.reason, letter.origin, letter.data) == (reason, topic, data[:65536])
    assert detail in letter.detail


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00Z", "0001-01-02T00:00:00Z", "9999-12-31T23:59:59Z"])
@pytest.mark.parametrize("energy", ["1.5", None])
@pytest.mark.parametrize("basis", ["instant", "freeze"])
def test_a_stamp_at_the_end_of_the_calendar_stops_nobody(time: str, energy: str | None, basis: str) -> None:
    since = datetime(2026, 1, 1, tzinfo=UTC)
    plans = Plan("quarter", (ENERGY,), every_s=900), Plan("daily", (ENERGY,), basis=Basis.FREEZE, at_minute=5)
    owed = owed_slots(lambda: [PlanVersion(plan, since) for plan in plans], SHANGHAI, lambda *_: True)
    post = Inbox("broker", PROFILES, REGISTRY, zone=SHANGHAI, slots_for=owed)
    batch = post.batch([message(payload(energy, time=time, basis=basis)), message(payload("2"))])
    assert [(one.reason, one.detail[:4]) for one in batch.dead_letters] == [("bad_payload", "time")]
    assert [reading.value for reading in batch.readings] == [2_000_000]


def test_a_registry_loaded_anew_counts_from_then_on() -> None:
    post = inbox()
    post.load([standing("m9", "4799")])
    batch = post.batch([message(payload(), topic="meters/4799/reading"), message(payload())])
    assert [one.meter for one in batch.readings] == ["m9"]
    assert [one.reason for one in batch.dead_letters] == ["unknown_meter"]


# --- with a source in memory ----------------------------------------------------------------------------------------------


class Postman(MqttLink):
    """In the place of the link: carries nothing, remembers what was acknowledged."""

    def __init__(self, intake: Intake) -> None:
        broker = Broker("nowhere", 1883, "c", ("t",))
        super().__init__(broker, intake, DrivenClock(NOW))
        self.acknowledged: list[int] = []

    async def run(self) -> None:
        """Until cancelled."""
        await asyncio.Event().wait()

    def acknowledge(self, tickets: Sequence[Ticket]) -> None:
        self.acknowledged += [ticket.mid for ticket in tickets]


class Refusing:
    """A ledger that refuses, and one behind it that does not."""

    def __init__(self, ledger: Ledger, *errors: Exception) -> None:
        self._ledger = ledger
        self._errors = list(errors)
        self.asked = 0
        self.refused = asyncio.Event()

    async def append(self, batch: Batch) -> Receipt:
        """Refuse as long as there are errors."""
        self.asked += 1
        if self._errors:
            self.refused.set()
            raise self._errors.pop(0)
        return await self._ledger.append(batch)


class Blocked:
    """A ledger that takes its time."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.asked = asyncio.Event()
        self.released = asyncio.Event()

    async def append(self, batch: Batch) -> Receipt:
        """Once released."""
        self.asked.set()
        await self.released.wait()
        return await self._ledger.append(batch)


@pytest.fixture
async def ledger() -> AsyncIterator[Ledger]:
    opened = await open_ledger("memory://", create=True)
    await opened.import_registry(REGISTRY, digest="", at=QUARTER)
    yield opened
    await opened.close()


async def stored(ledger: Ledger) -> list[Judged]:
    return [one async for one in ledger.readings()]


def quick() -> Backoff:
    return Backoff(first_s=0.01, ceiling_s=0.02)


@asynccontextmanager
async def receiving(receive: Receive) -> AsyncIterator[asyncio.Event]:
    """Stopped at the end, unless it ends by itself; what it raises is raised."""
    stop = asyncio.Event()
    task = asyncio.create_task(receive.run(stop))
    try:
        yield stop
    finally:
        stop.set()
        await asyncio.wait_for(task, 10)


async def test_told_after_the_commit_and_duplicates_absorbed(ledger: Ledger) -> None:
    intake = Intake(linger_s=0)
    postman = Postman(intake)
    told: asyncio.Queue[tuple[Batch, Receipt, list[int]]] = asyncio.Queue()
    receive = Receive(
        postman,
        intake,
        inbox(),
        ledger,
        told=lambda batch, receipt: told.put_nowait((batch, receipt, postman.acknowledged[:])),
    )
    async with receiving(receive):
        for n in (1, 2):
            intake.offer(message(payload(), n=n))
            batch, receipt, acknowledged = await told.get()
            assert (receipt.stored, receipt.duplicates, receipt.slots_filled) == ((1, 0, 1) if n == 1 else (0, 1, 0))
            assert acknowledged == list(range(1, n + 1))
            assert len(filled(batch)) == 1
    assert len(await stored(ledger)) == 1


@pytest.mark.parametrize("error", [DatabaseBusy("held"), DatabaseUnusable("no space")])
async def test_a_ledger_that_refuses_is_asked_again(
    ledger: Ledger, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    intake = Intake(linger_s=0)
    postman = Postman(intake)
    refusing = Refusing(ledger, error, error, error)
    done = asyncio.Event()
    receive = Receive(postman, intake, inbox(), refusing, told=lambda *_: done.set(), backoff=quick())
    async with receiving(receive):
        intake.offer(message(payload()))
        await refusing.refused.wait()
        assert postman.acknowledged == []
        await asyncio.wait_for(done.wait(), 5)
    assert (postman.acknowledged, refusing.asked) == ([1], 4)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


async def test_stopped_while_the_ledger_refuses_acknowledges_nothing(ledger: Ledger) -> None:
    intake = Intake(linger_s=0)
    postman = Postman(intake)
    refusing = Refusing(ledger, *[DatabaseBusy("held")] * 1000)
    async with receiving(Receive(postman, intake, inbox(), refusing, backoff=Backoff(first_s=600, ceiling_s=600))):
        intake.offer(message(payload()))
        await refusing.refused.wait()
    assert postman.acknowledged == []


async def test_a_mistake_of_ours_ends_it_and_acknowledges_nothing(ledger: Ledger) -> None:
    intake = Intake(linger_s=0)
    postman = Postman(intake)
    receive = Receive(postman, intake, inbox(), Refusing(ledger, ValueError("not in UTC")))
    intake.offer(message(payload()))
    with pytest.raises(ExceptionGroup) as caught:
        await asyncio.wait_for(receive.run(asyncio.Event()), 5)
    assert caught.group_contains(ValueError, match="not in UTC")
    assert postman.acknowledged == []


# --- with a broker --------------------------------------------------------------------------------------------------------


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """With Mosquitto's own window of 20 messages, as an installation has it."""
    mosquitto = Mosquitto(tmp_path, *SOUND, *TALKATIVE)
    mosquitto.start()
    yield mosquitto
    mosquitto.stop()


def linked(mosquitto: Mosquitto) -> tuple[MqttLink, Intake]:
    intake = Intake()
    where = Broker(mosquitto.host, mosquitto.port, "chaobiao-r", ("meters/+/reading",))
    return MqttLink(where, intake, DrivenClock(NOW), backoff=quick()), intake


@needs_mosquitto
async def test_no_puback_before_the_commit(broker: Mosquitto, ledger: Ledger) -> None:
    blocked = Blocked(ledger)
    link, intake = linked(broker)
    async with receiving(Receive(link, intake, inbox(), blocked)):
        await broker.logs("Sending SUBACK to chaobiao-r")
        await asyncio.to_thread(broker.publish, TOPIC, [payload().decode()])
        await blocked.asked.wait()
        assert not await stored(ledger)
        assert not broker.logged("Received PUBACK from chaobiao-r")
        blocked.released.set()
        await broker.logs("Received PUBACK from chaobiao-r")
        assert len(await stored(ledger)) == 1


@needs_mosquitto
async def test_stopping_finishes_the_batch_in_hand(broker: Mosquitto, ledger: Ledger) -> None:
    blocked = Blocked(ledger)
    link, intake = linked(broker)
    async with receiving(Receive(link, intake, inbox(), blocked)) as stop:
        await broker.logs("Sending SUBACK to chaobiao-r")
        await asyncio.to_thread(broker.publish, TOPIC, [payload().decode()])
        await blocked.asked.wait()
        stop.set()
        await asyncio.sleep(0)
        blocked.released.set()
    await broker.logs("Received DISCONNECT from chaobiao-r")
    heard = [line.split(": ")[1] for line in broker.logged(" from chaobiao-r")]
    assert [line.split()[1] for line in heard if "PINGREQ" not in line] == ["SUBSCRIBE", "PUBACK", "DISCONNECT"]


@needs_mosquitto
async def test_poison_does_not_stop_the_session_at_twenty(broker: Mosquitto, ledger: Ledger) -> None:
    link, intake = linked(broker)
    came = asyncio.Event()
    receive = Receive(link, intake, inbox(), ledger, told=lambda batch, _: came.set() if batch.readings else None)
    async with receiving(receive):
        await broker.logs("Sending SUBACK to chaobiao-r")
        await asyncio.to_thread(broker.publish_lines, TOPIC, [f"poison {n}" for n in range(50)])
        await asyncio.to_thread(broker.publish, TOPIC, [payload().decode()])
        await asyncio.wait_for(came.wait(), 10)
    letters = await ledger.dead_letters()
    assert [letter.data.decode() for letter in letters] == [f"poison {n}" for n in range(50)]
    assert len(await stored(ledger)) == 1


@needs_mosquitto
async def test_listening_once(broker: Mosquitto, ledger: Ledger) -> None:
    """As `read` does: a broker that is not there is an error, not something to wait for."""
    link, intake = linked(broker)
    stop = asyncio.Event()
    await asyncio.to_thread(broker.publish, TOPIC, [payload().decode()], "-r")  # retained: there before we are
    await asyncio.wait_for(Receive(link, intake, inbox(), ledger, told=lambda *_: stop.set()).listen(stop), 10)
    assert [one.reading.value for one in await stored(ledger)] == [123_450_000]
    await asyncio.to_thread(broker.stop)
    with pytest.raises(LinkError, match="cannot be reached"):
        await Receive(*linked(broker), inbox(), ledger).listen(asyncio.Event())


@needs_mosquitto
async def test_listening_until_the_broker_goes(broker: Mosquitto, ledger: Ledger) -> None:
    link, intake = linked(broker)
    listening = asyncio.create_task(Receive(link, intake, inbox(), ledger).listen(asyncio.Event()))
    await broker.logs("Sending SUBACK to chaobiao-r")
    await asyncio.to_thread(broker.kill)
    with pytest.raises(LinkError, match="connection lost"):
        await asyncio.wait_for(listening, 10)


# --- from the configuration -----------------------------------------------------------------------------------------------


@needs_mosquitto
async def test_from_the_configuration(broker: Mosquitto, ledger: Ledger) -> None:
    """The daemon's receiver and `read`'s beside it: both get the message, and neither takes the other's connection."""
    channel = Channel.model_validate(
        {
            "name": "broker",
            "link": f"mqtt://127.0.0.1:{broker.port}",
            "protocol": "mqtt-json",
            "topics": ("meters/+/reading",),
        }
    )
    polled = channel.model_copy(update={"name": "line", "protocol": "dlt645"})
    told: asyncio.Queue[int] = asyncio.Queue()

    def receiver(broker_of: Callable[[Channel], Broker]) -> Receive:
        (one,) = receivers_for(
            (polled, channel),
            REGISTRY,
            PROFILES,
            ledger,
            DrivenClock(NOW),
            zone=SHANGHAI,
            told=lambda batch, receipt: told.put_nowait(receipt.stored + receipt.duplicates),
            broker_of=broker_of,
        ).values()
        return one

    stop = asyncio.Event()
    async with receiving(receiver(subscriber)):
        await broker.logs("Sending SUBACK to chaobiao-broker")
        reading = asyncio.create_task(receiver(listener).listen(stop))
        await broker.logs("Sending SUBACK to chaobiao-read-")
        await asyncio.to_thread(broker.publish, TOPIC, [payload().decode()])
        assert [await told.get(), await told.get()] == [1, 1]
        stop.set()
        await asyncio.wait_for(reading, 10)
    assert len(await stored(ledger)) == 1


def test_the_password_comes_from_the_environment_and_is_not_shown() -> None:
    channel = Channel.model_validate(
        {"name": "b-1", "link": "mqtt://h", "protocol": "mqtt-json", "topics": ("t",), "username": "u"}
    )
    where = subscriber(channel, {"CHAOBIAO_PASSWORD_B_1": "s3cret"})
    assert (where.client_id, where.username, where.password) == ("chaobiao-b-1", "u", "s3cret")
    assert "s3cret" not in repr(where)
