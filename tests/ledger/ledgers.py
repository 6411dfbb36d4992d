"""Ledgers of each kind, and short ways to write what goes into them. The words of a clerk: a meter, a freeze, a slot."""

import shutil
from contextlib import aclosing
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from storage.engine import open_ledger, upgrade
from storage.ledger.port import Ledger
from storage.records import (
    RELEASED,
    Basis,
    Batch,
    Delivery,
    DeliveryRow,
    Judged,
    Missing,
    Owner,
    Quality,
    Reading,
    Revision,
    Slot,
    Source,
    Undelivered,
)
from storage.registry import Installation, Meter, Point, Registered
from storage.values import to_text

KINDS = ("memory", "sqlite")
NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)
DAY = date(2026, 3, 14)
IMPORT = "1-0:1.8.0"
EXPORT = "1-0:2.8.0"


@cache
def template() -> Path:
    """A new database, made once: a copy is quicker than the migrations."""
    path = Path(mkdtemp()) / "template.db"
    upgrade(f"sqlite:///{path}")
    return path


async def new_ledger(kind: str, folder: Path) -> Ledger:
    """An empty ledger."""
    if kind == "memory":
        return await open_ledger("memory://", create=True)
    path = folder / "ledger.db"
    shutil.copy(template(), path)
    return await open_ledger(f"sqlite:///{path}", create=False)


def at(hours: int, microseconds: int = 0) -> datetime:
    """Hours after noon."""
    return NOON + timedelta(hours=hours, microseconds=microseconds)


def row(meter: str, point: str = "", *, start: datetime = NOON, address: str = "", **facts: object) -> Registered:
    """One line of a registry file; `facts` go to the point."""
    point = point or f"P-{meter}"
    device = Meter(meter, "eastron_sdm630", "village-1", address or meter)
    place = Point(point, account=f"A-{point}", **facts)  # type: ignore[arg-type]
    return Registered(device, place, Installation(meter, point, start))


def slot(hour: int, meter: str = "m1", *, plan: str = "hourly", quantity: str = IMPORT) -> Slot:
    """A slot of a plan."""
    return Slot(plan, meter, quantity, Basis.INSTANT, at(hour))


def reading(
    hour: int,
    kwh: int,
    meter: str = "m1",
    *,
    quantity: str = IMPORT,
    fills: Slot | None = None,
    resolution: int = 1000,
    thousandths: int = 0,
    source: Source = Source.POLL,
    billable: bool = True,
) -> Reading:
    """A register read at an hour; `fills` a slot of its day."""
    value = kwh * 1_000_000 + thousandths * 1000
    day = DAY if fills else None
    return Reading(
        meter, quantity, Basis.INSTANT, at(hour), value, resolution, source, at(hour, 5), billable, fills, day
    )


def missing(which: Slot, reason: str = "no_answer", *, attempts: int = 1, detail: str = "") -> Missing:
    """A slot without a value."""
    return Missing(which, DAY, reason, Owner.LINE, detail, attempts, since=which.at)


async def read(ledger: Ledger, *readings: Reading) -> None:
    """Store readings, one batch."""
    await ledger.append(Batch(readings=readings))


async def standing(ledger: Ledger, **which: object) -> list[Judged]:
    """Readings as they stand."""
    async with aclosing(ledger.readings(**which)) as found:  # type: ignore[arg-type]
        return [one async for one in found]


def verdict(
    hour: int,
    quality: Quality = Quality.VERIFIED,
    *,
    n: int = 1,
    meter: str = "m1",
    value: int | None = None,
    quantity: str = IMPORT,
    **told: object,
) -> Revision:
    """A verdict on a reading."""
    return Revision(
        f"P-{meter}",
        meter,
        quantity,
        Basis.INSTANT,
        at(hour),
        n,
        quality,
        at(hour, 9),
        value,
        **told,  # type: ignore[arg-type]
    )


async def verify(ledger: Ledger, quality: Quality = Quality.VERIFIED) -> None:
    """A verdict on all that waits for one."""
    for series in await ledger.unjudged(limit=10_000):
        await ledger.judge(
            [
                Revision(
                    series.registered.point.point,
                    series.registered.meter.meter,
                    series.quantity,
                    series.basis,
                    series.times[place],
                    series.revisions[place] + 1,
                    quality,
                    series.times[place],
                )
                for place in range(series.judge_from, len(series.times))
            ]
        )


def rows_of(values: tuple[Undelivered, ...], first: int = 1) -> list[DeliveryRow]:
    """What billing would make of them."""
    return [_row(seq, one) for seq, one in enumerate(values, first)]


def _row(seq: int, one: Undelivered) -> DeliveryRow:
    given, before = one.judged.reading, one.replaces
    assert one.judged.quality in RELEASED
    return DeliveryRow(
        seq=seq,
        type="CORRECTION" if before else "READING",
        account=one.registered.point.account,
        point=one.registered.point.point,
        meter=given.meter,
        quantity=given.quantity,
        time=given.time,
        basis=given.basis,
        value=to_text(one.judged.value, given.resolution),
        unit="kWh",
        multiplier="1",
        quality=one.judged.quality,
        source=given.source,
        revision=one.judged.revision,
        replaces=before.seq if before else None,
        old_value=before.value if before else None,
        reason="verdict" if before else None,
    )


def delivery_of(rows: list[DeliveryRow], batch_seq: int = 1, before: str = "0" * 64) -> Delivery:
    """The manifest of these rows."""
    return Delivery(
        batch_seq=batch_seq,
        from_seq=rows[0].seq,
        to_seq=rows[-1].seq,
        rows=len(rows),
        sha256=f"data {batch_seq}",
        prev_sha256=before,
        manifest_sha256=f"manifest {batch_seq}",
        control_totals={IMPORT: "1.000"},
        data_file=f"batch-{batch_seq:08d}.jsonl",
        created_at=at(100),
    )


async def deliver(ledger: Ledger) -> list[DeliveryRow]:
    """Hand over all that is due, as the job would."""
    values = await ledger.undelivered(limit=10_000)
    if not values:
        return []
    there = await ledger.deliveries()
    rows = rows_of(values, there[-1].to_seq + 1 if there else 1)
    await ledger.promise_delivery(
        rows, delivery_of(rows, len(there) + 1, there[-1].manifest_sha256 if there else "0" * 64)
    )
    return rows
