"""What a message becomes: a reading in its slot, a slot that knows why it is empty, or a dead letter."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from collector.jobs.receive import Inbox, filled
from collector.jobs.receivers import cutoffs_owed, owed_slots
from storage.records import Basis, Missing, Owner, Plan, PlanVersion, Slot, Source
from storage.registry import Registered
from tests.links.messages import (
    ENERGY,
    NOW,
    PROFILES,
    QUARTER,
    REGISTRY,
    SHANGHAI,
    TOPIC,
    inbox,
    message,
    payload,
    standing,
)


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


def test_numbers_of_a_concentrator_are_kept_with_what_they_number() -> None:
    told = {"boot_id": "b-1", "dcu": "dcu-7"}
    batch = inbox().batch(
        [
            message(payload(seq=1, **told)),
            message(payload(seq=2, **told), topic="meters/4799/reading"),  # unknown meter
            message(payload("12,5", seq=3, **told)),  # no number
            message(payload("1e30", seq=4, **told)),  # too large for the ledger
            message(payload(seq=5, boot_id="b-2", oldest=5)),
            message(payload(seq=6)),
            message(payload(seq=7, **told), topic="meters/4711/alarm"),
        ]
    )
    assert [(one.sender, one.boot, one.seq, one.oldest) for one in batch.numbered] == [
        *(("dcu-7", "b-1", seq, 0) for seq in (1, 2, 3, 4)),
        ("4711", "b-2", 5, 5),
    ]
    assert {one.channel for one in batch.numbered} == {"broker"}
    assert len(batch.dead_letters) == 4


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


@pytest.mark.parametrize(("cutoff", "late"), [(545, False), (540, True), (None, False)])
def test_a_message_that_comes_after_the_cut_off_is_not_of_the_first_round(cutoff: int | None, late: bool) -> None:
    """The value of the 14th, 09:00, comes on the 15th at 09:00:30; the cut-off is of the day after the data day."""
    plan = Plan("quarter", (ENERGY,), every_s=900, cutoff_minute=cutoff)
    since = datetime(2026, 1, 1, tzinfo=UTC)
    versions = [PlanVersion(plan, since)]
    post = Inbox(
        "broker",
        PROFILES,
        [replace(one, installation=replace(one.installation, start=since)) for one in REGISTRY],
        zone=SHANGHAI,
        slots_for=owed_slots(lambda: versions, SHANGHAI, lambda *_: True),
        cutoff_of=cutoffs_owed(lambda: versions, SHANGHAI),
    )
    batch = post.batch([message(payload(time="2026-03-14T09:00:00+08:00"))])
    assert batch.late == (frozenset(filled(batch)) if late else frozenset())
    assert len(filled(batch)) == 1


def test_a_registry_loaded_anew_counts_from_then_on() -> None:
    post = inbox()
    post.load([standing("m9", "4799")])
    batch = post.batch([message(payload(), topic="meters/4799/reading"), message(payload())])
    assert [one.meter for one in batch.readings] == ["m9"]
    assert [one.reason for one in batch.dead_letters] == ["unknown_meter"]
