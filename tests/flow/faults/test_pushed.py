"""F44 to F47: messages that come twice, in any order, weeks late, that contradict one another, or that no one can read."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from collector.acquisition.intake import Intake, Pushed, Ticket
from collector.clock import DrivenClock
from collector.jobs.deliver import Deliverer
from collector.jobs.receive import Inbox
from collector.jobs.validate import validate
from collector.outlets.files import DeliveryDirectory
from collector.vee.judge import Ruleset
from protocols.errors import BadPayload
from protocols.payload import read_message
from simulators.truth import Truth
from storage.memory import MemoryLedger
from storage.records import Quality
from tests.flow.faults.conftest import Tell
from tests.flow.faults.mailbox import LONG_AGO, doubled, mailbox, messages, publish, standing
from tests.flow.faults.oracle import all_pushed, nothing_lost
from tests.flow.faults.poison import poison
from tests.flow.faults.street import ENERGY, PROFILES, SEED, SHANGHAI, START
from tests.links.broker import SOUND, TALKATIVE, Mosquitto, needs_mosquitto
from tests.rooms.handing_over import ToyBilling, files

DAY = timedelta(days=1)
NOW = START + DAY


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """With Mosquitto's own window of 20 messages."""
    folder = tmp_path / "broker"
    folder.mkdir()
    mosquitto = Mosquitto(folder, *SOUND, *TALKATIVE)
    mosquitto.start()
    yield mosquitto
    mosquitto.stop()


@needs_mosquitto
async def test_twice_and_in_any_order_is_once(tmp_path: Path, broker: Mosquitto, tell: Tell) -> None:
    """F44, F45: a day of eight meters, three in ten published again, all of it shuffled."""
    dice, truth, rows = random.Random(SEED), Truth(), standing(8)
    sent = doubled(messages(rows, truth, START, NOW, SEED), 0.3, dice)
    dice.shuffle(sent)
    async with asyncio.timeout(60), mailbox(tmp_path, broker, rows, NOW) as box:
        await publish(broker, sent)
        await box.hears(lambda: box.heard >= len(sent))
        stored = await box.stored()
        nothing_lost(box.committed, stored)
        all_pushed(truth, stored)
        absorbed = sum(receipt.duplicates for _, receipt in box.committed)
        filled = await box.ledger.filled(START, NOW + DAY)
    assert absorbed == sum(len(batch.readings) for batch, _ in box.committed) - len(stored) > 300
    assert len(filled) == 8 * 96  # every slot, by the meter's own stamp
    tell("F44", f"{len(sent)} messages, {absorbed} values absorbed, {len(stored)} rows")


@needs_mosquitto
async def test_without_keys_every_copy_is_a_row(tmp_path: Path, broker: Mosquitto) -> None:
    """A store that appends what comes, as a table without a key does: the oracle sees it."""
    dice, truth, rows = random.Random(SEED), Truth(), standing(2)
    sent = doubled(messages(rows, truth, START, NOW, SEED), 0.3, dice)
    async with asyncio.timeout(60), mailbox(tmp_path, broker, rows, NOW) as box:
        await publish(broker, sent)
        await box.hears(lambda: box.heard >= len(sent))
        stored = await box.stored()
    by_key = {(one.reading.meter, one.reading.quantity, one.reading.basis, one.reading.time): one for one in stored}
    appended = [
        by_key[reading.meter, reading.quantity, reading.basis, reading.time]
        for batch, _ in box.committed
        for reading in batch.readings
    ]
    with pytest.raises(AssertionError, match="I2: "):
        nothing_lost(box.committed, appended)


@needs_mosquitto
async def test_forty_days_late_is_stored_where_it_belongs(tmp_path: Path, broker: Mosquitto, tell: Tell) -> None:
    """F45: what billing has got stays byte for byte; what comes late is handed over after it, under its own time."""
    truth, rows = Truth(), standing(2)
    on_time = messages(rows, truth, START, NOW, SEED)
    early = messages(rows, truth, START - 40 * DAY, START - 39 * DAY, SEED)
    random.Random(SEED).shuffle(early)
    folder = tmp_path / "deliveries"
    async with asyncio.timeout(60), mailbox(tmp_path, broker, rows, NOW) as box:
        clock = DrivenClock(NOW)
        deliverer = Deliverer(box.ledger, DeliveryDirectory(folder), clock, SHANGHAI, PROFILES)
        for part in (on_time, early):
            before = files(folder) if folder.exists() else {}
            wanted = box.heard + len(part)
            await publish(broker, ((one.topic, one.payload) for one in part))
            await box.hears(lambda wanted=wanted: box.heard >= wanted)  # type: ignore[misc]
            await validate(box.ledger, Ruleset(profiles=PROFILES), clock)
            await deliverer.run()
            assert before.items() <= files(folder).items()
        all_pushed(truth, await box.stored())
        late = await box.ledger.filled(START - 40 * DAY, START - 39 * DAY + timedelta(seconds=1))
        counts = await box.ledger.day_counts((START - 41 * DAY).date(), (START - 38 * DAY).date())
    billing = ToyBilling(folder).load()  # fails at a value handed over twice, a gap, or a broken chain
    assert len(late) == sum(one.slots for one in counts) == 2 * 96
    assert {row["type"] for row in billing.rows} == {"READING"}
    assert billing.deliveries == 2
    tell(
        "F45",
        f"{len(early)} messages 40 days late: {len(late)} slots of their own day, {len(billing.rows)} rows billed",
    )


async def test_another_value_for_the_same_instant_makes_both_suspect(tell: Tell) -> None:
    """F46: a thousand contradictions; the values that nobody contradicts are verified."""
    truth, rows, ledger = Truth(), standing(3), MemoryLedger()
    await ledger.import_registry(rows, digest="", at=LONG_AGO)
    inbox = Inbox("broker", PROFILES, rows, zone=SHANGHAI)
    made = messages(rows, truth, START, NOW, SEED)
    contradicted = made[: 2 * 97]  # all but the last meter's
    for one in made:
        await ledger.append(inbox.batch([pushed(one.topic, one.payload)]))
    for one in contradicted:
        body = json.loads(one.payload)
        body["values"] = {quantity: f"{float(value) + 1:.2f}" for quantity, value in body["values"].items()}
        await ledger.append(inbox.batch([pushed(one.topic, json.dumps(body).encode())]))
    await validate(ledger, Ruleset(profiles=PROFILES), DrivenClock(NOW))
    stored = [one async for one in ledger.readings()]
    all_pushed(truth, stored)  # the first stays
    conflicts = {(one.meter, one.time, one.basis, one.quantity) for one in await ledger.conflicts()}
    assert len(conflicts) >= 1000
    for judged in stored:
        reading = judged.reading
        key = (reading.meter, reading.time, reading.basis, reading.quantity)
        assert (judged.quality is Quality.SUSPECT) == (key in conflicts), judged
    offered = await ledger.undelivered(limit=100_000)
    assert {one.judged.reading.meter for one in offered} == {"r3"}
    tell("F46", f"{len(conflicts)} values contradicted, all suspect, none handed over; {len(stored)} rows")


def pushed(topic: str, payload: bytes) -> Pushed:
    return Pushed(topic, payload, False, NOW, Ticket(1, 1, 1))


# --- F47 ----------------------------------------------------------------------------------------------------------------


def test_ten_thousand_poisons_and_each_is_a_dead_letter(tell: Tell) -> None:
    dice, rows = random.Random(SEED), standing(2)
    inbox = Inbox("broker", PROFILES, rows, zone=SHANGHAI)
    good = json.dumps({"time": NOW.isoformat(), "values": {ENERGY: "1.5"}}).encode()
    letters = reasons = 0
    kinds: dict[str, int] = {}
    for _ in range(1000):
        batch = inbox.batch(
            [
                pushed("meters/r1/reading", good),
                *(pushed("meters/r2/reading", poison(dice)) for _ in range(10)),
                pushed("meters/r1/reading", good),
            ]
        )
        assert [reading.value for reading in batch.readings] == [1_500_000, 1_500_000]
        letters += len(batch.dead_letters)
        reasons += sum(bool(letter.reason and letter.detail) for letter in batch.dead_letters)
        for letter in batch.dead_letters:
            kinds[letter.reason] = kinds.get(letter.reason, 0) + 1
    assert letters == reasons == 10_000
    tell("F47", f"10,000 poisons: {kinds}")


def is_poison(message: Pushed) -> bool:
    try:
        read_message(PROFILES["json_meter"], message.payload)
    except BadPayload:
        return True
    return False


class Grudging(Intake):
    """Acknowledges only what it could read: poison comes again and again."""

    def settle(self) -> None:
        kept = tuple(message for message in self._in_hand if not is_poison(message))
        self._in_hand = kept
        super().settle()


@needs_mosquitto
async def test_poison_stops_nobody(tmp_path: Path, broker: Mosquitto) -> None:
    """Three hundred poisons, fifteen times the broker's window, then a good one: it comes, and all poison is kept to be shown."""
    dice, truth, rows = random.Random(SEED), Truth(), standing(1)
    (last, *_) = messages(rows, truth, START, START + timedelta(minutes=15), SEED)
    async with asyncio.timeout(30), mailbox(tmp_path, broker, rows, NOW, version="3.1.1") as box:
        await publish(broker, [("meters/r1/reading", poison(dice)) for _ in range(300)])
        await publish(broker, [(last.topic, last.payload)])
        await box.hears(lambda: any(batch.readings for batch, _ in box.committed))
        all_pushed(truth, await box.stored())
        assert len(await box.ledger.dead_letters()) == 300


@needs_mosquitto
async def test_without_acknowledging_poison_the_session_stops_at_twenty(tmp_path: Path, broker: Mosquitto) -> None:
    dice, truth, rows = random.Random(SEED), Truth(), standing(1)
    (last, *_) = messages(rows, truth, START, START + timedelta(minutes=15), SEED)
    weak = mailbox(tmp_path, broker, rows, NOW, version="3.1.1", intake=Grudging())
    async with asyncio.timeout(30), weak as box:
        await publish(broker, [("meters/r1/reading", poison(dice)) for _ in range(300)])
        await publish(broker, [(last.topic, last.payload)])
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(box.hears(lambda: any(batch.readings for batch, _ in box.committed)), 1.5)
        assert box.heard == 20
