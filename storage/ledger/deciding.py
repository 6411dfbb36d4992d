"""What both adapters decide alike: is this the same reading, may this batch be stored, does this delivery follow.

Pure: records in, answers or errors out. Looks at no database.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from enum import Enum

from storage.errors import DeliveryRefused, ValueRefused
from storage.records import Batch, Delivery, DeliveryRow, Missing, Reading, Undelivered
from storage.values import LARGEST, SMALLEST, to_millionths

NO_MANIFEST = "0" * 64
"""`prev_sha256` of the first delivery."""


class Arrival(Enum):
    """What a reading is whose key is there already."""

    SAME = "the same again"
    RESTATED = "the same reading at another resolution"
    OTHER = "a different value"


def same_reading(value: int, resolution: int, other: int, other_resolution: int) -> bool:
    """Do two values agree at the coarser of their resolutions?

    Meters cut off, translators round: the finer value agrees if either gives the coarser one.
    """
    if resolution == other_resolution:
        return value == other
    fine, coarse = (value, other) if resolution < other_resolution else (other, value)
    step = max(resolution, other_resolution)
    beyond = fine - coarse if fine >= 0 else coarse - fine
    return 0 <= beyond < step or 2 * abs(beyond) <= step


def compare(
    reading: Reading, *, served: tuple[int, int], kept: Collection[tuple[int, int]], others: Collection[int]
) -> Arrival:
    """Against what its key has: the (value, resolution) that is served, all that were kept, and the values in conflict."""
    if (reading.value, reading.resolution) in kept or reading.value in others:
        return Arrival.SAME
    return Arrival.RESTATED if same_reading(reading.value, reading.resolution, *served) else Arrival.OTHER


def check_batch(batch: Batch) -> None:
    """Before anything is written.

    :raises ValueRefused: a value beyond 64 bits.
    :raises ValueError: a record that breaks its own contract (a mistake of ours, not of a meter).
    """
    for reading in batch.readings:
        if not SMALLEST <= reading.value <= LARGEST or not 0 < reading.resolution <= LARGEST:
            raise ValueRefused(
                f"{reading.meter} {reading.quantity}: {reading.value} does not fit 64 bits of millionths"
            )
        _check_times(reading.time, reading.received_at)
        if reading.slot is not None:
            _check_slot(reading)
    for missing in batch.missing:
        _check_times(missing.slot.at, missing.since, missing.expires)
    _check_times(*(instant for done in batch.done for instant in (done.slot.at, done.at)))
    for attempt in batch.attempts:
        _check_times(attempt.started_at)
    for check in batch.clock_checks:
        _check_times(check.at, check.shown)
    for event in batch.events:
        _check_times(event.start, event.end, event.seen_at)
    _check_times(*(one.at for many in (batch.statuses, batch.event_counts) for one in many))
    _check_times(*(frame.received_at for frame in batch.frames), *(letter.received_at for letter in batch.dead_letters))


def _check_slot(reading: Reading) -> None:
    slot = reading.slot
    assert slot is not None  # noqa: S101 - asked by the caller
    if (slot.meter, slot.quantity, slot.basis) != (reading.meter, reading.quantity, reading.basis):
        raise ValueError(f"{reading} cannot fill the slot of another value")
    if slot.plan and reading.data_day is None:
        raise ValueError(f"{reading} fills a slot but names no data day to count it in")
    _check_times(slot.at)


def _check_times(*times: datetime | None) -> None:
    for time in times:
        if time is not None and time.utcoffset() != timedelta(0):
            raise ValueError(f"{time!r} is not in UTC")


def check_follows(last: Delivery | None, rows: Sequence[DeliveryRow], delivery: Delivery) -> None:
    """Numbers without a gap, and the chain of manifests.

    :raises DeliveryRefused: naming what was expected.
    """
    number, first, before = (last.batch_seq, last.to_seq, last.manifest_sha256) if last else (0, 0, NO_MANIFEST)
    if delivery.batch_seq != number + 1:
        raise DeliveryRefused(f"delivery {delivery.batch_seq} does not follow delivery {number}")
    if delivery.prev_sha256 != before:
        raise DeliveryRefused(f"delivery {delivery.batch_seq} does not name the manifest of delivery {number}")
    if not rows or [row.seq for row in rows] != list(range(first + 1, first + 1 + len(rows))):
        raise DeliveryRefused(f"delivery {delivery.batch_seq}: its rows are not numbered from {first + 1} on")
    if (delivery.from_seq, delivery.to_seq, delivery.rows) != (rows[0].seq, rows[-1].seq, len(rows)):
        raise DeliveryRefused(f"delivery {delivery.batch_seq}: its manifest does not count its rows")


def check_repeated(
    stored: Delivery, stored_rows: Iterable[DeliveryRow], rows: Iterable[DeliveryRow], delivery: Delivery
) -> None:
    """A number that is there already may only say the same.

    :raises DeliveryRefused: if it does not.
    """
    if replace(delivery, written=stored.written) != stored or tuple(rows) != tuple(stored_rows):
        raise DeliveryRefused(f"delivery {stored.batch_seq} was handed over already, with other content")


def asked_for(value: Undelivered, at: Mapping[str, Collection[datetime]]) -> bool:
    """Is it of one of the instants of its billing group, or of a group that names none?"""
    instants = at.get(value.registered.point.billing_group)
    reading = value.judged.reading
    return instants is None or reading.time in instants or (reading.slot is not None and reading.slot.at in instants)


def check_row(row: DeliveryRow, stands: Undelivered | None) -> None:
    """Is the row what billing has not got, as it stands now?

    :raises DeliveryRefused: naming the row.
    """
    if stands is None:
        raise DeliveryRefused(f"{_named(row)} has nothing to hand over")
    judged = stands.judged
    if (row.revision, row.quality) != (judged.revision, judged.quality) or row_value(row) != judged.value:
        raise DeliveryRefused(f"{_named(row)} has changed meanwhile")
    if row.replaces != (stands.replaces.seq if stands.replaces else None):
        raise DeliveryRefused(f"{_named(row)} does not name the row that it corrects")


def row_value(row: DeliveryRow) -> int:
    """Millionths of what the row says.

    :raises DeliveryRefused: if that is no exact value.
    """
    try:
        return to_millionths(Decimal(row.value))
    except (InvalidOperation, ValueRefused):
        raise DeliveryRefused(f"{_named(row)}: {row.value!r} is no value") from None


def _named(row: DeliveryRow) -> str:
    return f"row {row.seq} ({row.meter} {row.quantity} {row.basis} {row.time.isoformat()})"


def later(old: Missing, new: Missing) -> Missing:
    """A missing slot that is still missing: the newer reason, all attempts, since when it first was."""
    return replace(
        new,
        data_day=old.data_day,
        attempts=old.attempts + new.attempts,
        since=old.since or new.since,
        expires=new.expires or old.expires,
    )
