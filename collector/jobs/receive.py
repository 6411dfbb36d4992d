"""Receiving what meters push: messages in batches, each batch one commit, and only then the acknowledgement.

    link ─► intake ─► Inbox (message → readings, or dead letter) ─► ledger.append ─► receipt ─► acknowledge ─► `told`
                                                                                            └─► answers (to concentrators)

Invariants: every message that is acknowledged has left a trace in the ledger, as readings or as a dead letter, in a
transaction that is on disk. A ledger that refuses delays everything and loses nothing: the batch in hand is tried again,
the rest waits in the broker.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Protocol
from zoneinfo import ZoneInfo

from collector.acquisition.answers import Answers
from collector.acquisition.backoff import Backoff
from collector.acquisition.canary import Canary
from collector.acquisition.intake import Intake, Pushed
from collector.acquisition.mqtt_link import MqttLink
from collector.acquisition.outcome import rule
from collector.errors import LinkError
from collector.normalise.translate import Rejected, Translation, translate
from protocols.errors import BadPayload
from protocols.payload import MOST_BYTES, Message, Number, address_in, number_of, read_message
from protocols.profile import Profile
from storage.days import data_day
from storage.errors import DatabaseBusy, DatabaseUnusable
from storage.ledger.sender_port import SenderLedger
from storage.records import Basis, Batch, DeadLetter, Missing, Owner, RawFrame, Reading, Receipt, Slot, Source
from storage.registry import Registered
from storage.senders import Numbered

log = logging.getLogger(__name__)

PROTOCOL = "mqtt-json"
SLICE = 20
"""Messages that are read without looking up."""

SlotsFor = Callable[[Registered, str, Basis, datetime], Iterable[Slot]]
CutoffOf = Callable[[Slot], datetime | None]
"""(installation, quantity, basis, time) → the slots that a pushed value fills; two plans may owe the same."""


class Appends(Protocol):
    """The one verb of the ledger that receiving needs."""

    async def append(self, batch: Batch) -> Receipt:
        """See `storage.ledger.port`."""


class Keeps(Appends, SenderLedger, Protocol):
    """The same, where concentrators are answered."""


class Inbox:
    """What one channel's messages mean. Pure but for its memory of the registry."""

    def __init__(
        self,
        channel: str,
        profiles: Mapping[str, Profile],
        registered: Iterable[Registered],
        *,
        zone: ZoneInfo,
        slots_for: SlotsFor = lambda *_: (),
        cutoff_of: CutoffOf = lambda _: None,
        also: Collection[str] = (),
    ) -> None:
        self._channel = channel
        self._also = also
        self._profiles = {name: profile for name, profile in profiles.items() if profile.json_ is not None}
        self._zone = zone
        self._slots_for = slots_for
        self._cutoff_of = cutoff_of
        self._by_address: dict[str, Registered] = {}
        self.load(registered)

    def load(self, registered: Iterable[Registered]) -> None:
        """The registry as it is now."""
        rows = tuple(registered)
        others = [one for one in rows if one.meter.channel in self._also]
        often = Counter(one.meter.address for one in others)
        # An address that two of these channels have would be nobody's in particular.
        self._by_address = {one.meter.address: one for one in others if often[one.meter.address] == 1}
        self._by_address |= {one.meter.address: one for one in rows if one.meter.channel == self._channel}

    def batch(self, messages: Sequence[Pushed]) -> Batch:
        """All messages, each as a frame with its readings or as a dead letter; slots that are to stay empty, and why."""
        readings: list[Reading] = []
        missing: list[Missing] = []
        frames: list[RawFrame] = []
        letters: list[DeadLetter] = []
        numbered: list[Numbered] = []
        for message in messages:
            found = self._meter(message.topic)
            if isinstance(found, str):
                letters.append(_letter(message, found))
                numbered += self._numbered_all_the_same(message)
                continue
            one, profile = found
            try:
                said = read_message(profile, message.payload)
            except BadPayload as error:
                letters.append(_letter(message, error.code, error.detail))
                numbered += self._numbered_all_the_same(message)
                continue
            if said.number is not None:
                numbered.append(self._numbered(said.number, one.meter.address, message))
            made = self._translated(said, one, profile, message)
            if not made.readings and (odd := _odd(made.rejects)):
                letters.append(_letter(message, odd.reason, odd.detail))
                continue
            readings += self._in_slots(made.readings, one)
            missing += self._missing(made.rejects, said, one)
            frames.append(RawFrame(message.received_at, message.topic, one.meter.meter, PROTOCOL, message.payload))
        return Batch(
            readings=tuple(readings),
            missing=tuple(missing),
            frames=tuple(frames),
            dead_letters=tuple(letters),
            numbered=tuple(numbered),
            late=frozenset(slot for reading in readings if (slot := reading.slot) and self._is_late(slot, reading)),
        )

    def _is_late(self, slot: Slot, reading: Reading) -> bool:
        cutoff = self._cutoff_of(slot)
        return cutoff is not None and reading.received_at >= cutoff

    def _numbered(self, number: Number, address: str, message: Pushed) -> Numbered:
        sender = number.sender or address
        return Numbered(self._channel, sender, number.boot, number.seq, message.received_at, number.oldest)

    def _numbered_all_the_same(self, message: Pushed) -> Iterator[Numbered]:
        """A dead letter is kept, so its sender may forget it: else it would be sent again for ever."""
        for profile in self._profiles.values():
            address = address_in(profile, message.topic)
            number = None if address is None else number_of(profile, message.payload)
            if address is not None and number is not None:
                yield self._numbered(number, address, message)
                return

    def _meter(self, topic: str) -> tuple[Registered, Profile] | str:
        """Whose topic it is, and how it is read; or the reason why it is nobody's."""
        reason = "unknown_topic"
        for name, profile in self._profiles.items():
            address = address_in(profile, topic)
            if address is None:
                continue
            one = self._by_address.get(address)
            # A meter of another channel has a profile for that; what it pushes is read by the first whose topic it is.
            if one is not None and (one.meter.profile == name or one.meter.channel != self._channel):
                return one, profile
            reason = "unknown_meter"
        return reason

    def _translated(self, said: Message, one: Registered, profile: Profile, message: Pushed) -> Translation:
        return translate(
            said.items,
            profile=profile,
            meter=one.meter,
            zone=self._zone,
            source=Source.PUSH,
            received_at=message.received_at,
        )

    def _in_slots(self, readings: Iterable[Reading], one: Registered) -> Iterator[Reading]:
        for reading in readings:
            slots = tuple(self._slots_for(one, reading.quantity, reading.basis, reading.time)) or (None,)
            yield from map(partial(_in_slot, reading, self._zone), slots)

    def _missing(self, rejects: Iterable[Rejected], said: Message, one: Registered) -> Iterator[Missing]:
        """A meter that says it has no such value: the slot knows why it is empty, until a later message fills it."""
        for reject in rejects:
            if reject.quantity is None:
                continue
            for slot in self._slots_for(one, reject.quantity, Basis(said.basis), said.time):
                owner = rule(reject.reason).owner or Owner.METER
                day = data_day(slot.at, slot.basis, self._zone)
                yield Missing(slot, day, reject.reason, owner, reject.detail, attempts=1, since=slot.at)


def _in_slot(reading: Reading, zone: ZoneInfo, slot: Slot | None) -> Reading:
    return reading if slot is None else replace(reading, slot=slot, data_day=data_day(slot.at, slot.basis, zone))


def _odd(rejects: Iterable[Rejected]) -> Rejected | None:
    """The first that is no plain "I have no such value"."""
    return next((reject for reject in rejects if reject.detail != b"null".hex(" ")), None)


def _letter(message: Pushed, reason: str, detail: str = "") -> DeadLetter:
    # What is over the limit can be no reading; as much as the largest message is kept of it, to show to its sender.
    return DeadLetter(message.received_at, message.topic, reason, detail, message.payload[:MOST_BYTES])


def _joined(one: Batch, other: Batch) -> Batch:
    return Batch(
        readings=one.readings + other.readings,
        missing=one.missing + other.missing,
        frames=one.frames + other.frames,
        dead_letters=one.dead_letters + other.dead_letters,
        numbered=one.numbered + other.numbered,
        late=one.late | other.late,
    )


def filled(batch: Batch) -> tuple[Slot, ...]:
    """The slots that a batch brought a value for."""
    return tuple(reading.slot for reading in batch.readings if reading.slot is not None)


class Receive:
    """One channel's messages, into the ledger. `told` after each commit, when its messages have been acknowledged."""

    def __init__(
        self,
        link: MqttLink,
        intake: Intake,
        inbox: Inbox,
        ledger: Appends,
        *,
        answers: Answers | None = None,
        canary: Canary | None = None,
        told: Callable[[Batch, Receipt], None] = lambda *_: None,
        backoff: Backoff | None = None,
    ) -> None:
        self._link = link
        self._answers = answers
        self._canary = canary
        self._intake = intake
        self.inbox = inbox
        self._ledger = ledger
        self._told = told
        self._backoff = backoff or Backoff(first_s=0.2, ceiling_s=10)

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`, whatever happens to the broker: then the batch in hand is committed and acknowledged."""
        async with asyncio.TaskGroup() as tasks:
            carrying = tasks.create_task(self._link.run())
            closing = tasks.create_task(self._close_at(stop))
            beside = [tasks.create_task(one.run()) for one in (self._answers, self._canary) if one is not None]
            try:
                await self._store()
            finally:
                for task in (*beside, closing, carrying):
                    task.cancel()

    async def listen(self, stop: asyncio.Event) -> None:
        """The same over one connection, for `read`.

        :raises LinkError: if there is no connection, or when it ends before `stop`.
        """
        async with self._link.session() as connection, asyncio.TaskGroup() as tasks:
            closing = tasks.create_task(self._close_at(stop))
            storing = tasks.create_task(self._store())
            ending = tasks.create_task(connection.ended())
            await asyncio.wait((storing, ending), return_when=asyncio.FIRST_COMPLETED)
            lost = None if storing.done() else ending.result()
            self._intake.close()
            await asyncio.wait((storing,))
            ending.cancel()
            closing.cancel()
        if lost is not None:
            raise LinkError("connection_lost", Owner.UPLINK, f"{self._link.name}: {lost}")

    async def _close_at(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._intake.close()

    async def _store(self) -> None:
        while messages := await self._intake.take():
            batch = await self._read(messages)
            receipt = await self._committed(batch)
            if receipt is None:
                return  # stopped while the ledger refused: nothing is acknowledged, all of it comes again
            self._intake.settle()
            if self._answers is not None:
                self._answers.committed(receipt.progress)
            if batch.dead_letters:
                first = batch.dead_letters[0]
                log.warning(
                    "%d of %d messages could not be read and are kept as dead letters; the first: %s on %s: %s",
                    *(len(batch.dead_letters), len(messages), first.reason, first.origin, first.detail),
                )
            self._told(batch, receipt)

    async def _read(self, messages: Sequence[Pushed]) -> Batch:
        """A slice at a time: whole, a batch would hold up everybody else's answers for ten milliseconds."""
        topic = None
        if self._canary is not None:
            self._canary.heard()
            topic = self._canary.topic
        batch = Batch()
        for first in range(0, len(messages), SLICE):
            part = [one for one in messages[first : first + SLICE] if one.topic != topic]
            batch = _joined(batch, self.inbox.batch(part))
            await asyncio.sleep(0)
        return batch

    async def _committed(self, batch: Batch) -> Receipt | None:
        """The receipt; None if stopped before the ledger took the batch."""
        self._backoff.reset()
        while True:
            try:
                receipt = await self._ledger.append(batch)
            except (DatabaseBusy, DatabaseUnusable) as error:
                level = logging.DEBUG if self._backoff.failures else logging.WARNING
                log.log(level, "%s: nothing is acknowledged until the ledger takes it: %s", self._link.name, error)
                if await self._intake.closed_within(self._backoff.next_s()):
                    return None
                continue
            if self._backoff.failures:
                log.info("%s: the ledger takes messages again", self._link.name)
            return receipt
