"""Handing over: what billing has not got, numbered without a gap, and never what is not released (promises 4 and 5)."""

import dataclasses

import pytest

from storage.errors import DeliveryRefused
from storage.ledger.port import Ledger
from storage.records import Quality, Slot
from tests.ledger.ledgers import (
    EXPORT,
    at,
    deliver,
    delivery_of,
    read,
    reading,
    row,
    rows_of,
    slot,
    verdict,
    verify,
)


@pytest.fixture
async def known(ledger: Ledger) -> Ledger:
    rows = [row("m1", start=at(0)), row("m2", start=at(0), billing_group="homes")]
    await ledger.import_registry(rows, digest="", at=at(0))
    return ledger


async def due(ledger: Ledger) -> list[tuple[str, str, int]]:
    return [
        (one.judged.reading.meter, one.judged.reading.quantity, one.judged.value)
        for one in await ledger.undelivered(limit=1000)
    ]


@pytest.mark.parametrize(
    ("quality", "released"),
    [
        (Quality.VERIFIED, True),
        (Quality.ACCEPTED, True),
        (Quality.ESTIMATED, True),
        (Quality.EDITED, True),
        (Quality.SUSPECT, False),
        (Quality.MISSING, False),
    ],
)
async def test_only_released_values_are_due(known: Ledger, quality: Quality, *, released: bool) -> None:
    await read(known, reading(1, 11))
    assert await due(known) == []
    await known.judge([verdict(1, quality)])
    assert bool(await due(known)) == released


async def test_due_values_come_with_their_installation_in_order(known: Ledger) -> None:
    stored = [
        reading(hour, 1, meter, quantity=code)
        for hour in (2, 1)
        for code in (EXPORT, "1-0:1.8.0")
        for meter in ("m2", "m1")
    ]
    await read(known, *stored, reading(1, 1, "stranger"), reading(3, 1, billable=False))
    await verify(known)
    values = await known.undelivered(limit=1000)
    given = [one.judged.reading for one in values]
    assert given == sorted(stored, key=lambda one: (one.meter, one.quantity, one.time))
    assert {one.registered.meter.meter for one in values} == {"m1", "m2"}
    assert {one.replaces for one in values} == {None}
    assert await known.undelivered(limit=3) == values[:3]


async def test_a_group_gets_only_its_instants(known: Ledger) -> None:
    daily = Slot("daily", "m2", "1-0:1.8.0", slot(1).basis, at(24))
    await read(known, *(reading(hour, hour, meter) for hour in (1, 2) for meter in ("m1", "m2")))
    await read(known, reading(25, 25, "m2", fills=daily))
    await verify(known)

    async def given(**groups: list[int]) -> list[tuple[str, int]]:
        instants = {name: [at(hour) for hour in hours] for name, hours in groups.items()}
        values = await known.undelivered(limit=99, at=instants)
        return [(one.judged.reading.meter, one.judged.value // 1_000_000) for one in values]

    m1 = [("m1", 1), ("m1", 2)]
    assert await given(homes=[2]) == [*m1, ("m2", 2)]
    assert await given(homes=[24, 1]) == [*m1, ("m2", 1), ("m2", 25)]
    assert await given(homes=[]) == m1
    assert await given(others=[1]) == [*m1, ("m2", 1), ("m2", 2), ("m2", 25)]
    assert await given(homes=[1], **{"": [2]}) == [("m1", 2), ("m2", 1)]


async def test_what_was_handed_over_is_not_due_again(known: Ledger) -> None:
    await read(known, reading(1, 11), reading(2, 12))
    await verify(known)
    rows = await deliver(known)
    assert [row.seq for row in rows] == [1, 2]
    assert await due(known) == []
    assert await known.delivery_rows(1) == tuple(rows)
    assert await known.deliveries() == (delivery_of(rows),)
    await read(known, reading(1, 11))
    assert await due(known) == []


async def test_a_changed_value_is_due_as_a_correction(known: Ledger) -> None:
    await read(known, reading(1, 11))
    await verify(known)
    (first,) = await deliver(known)
    await known.judge([verdict(1, Quality.EDITED, n=2, value=12_000_000)])
    (one,) = await known.undelivered(limit=9)
    assert (one.replaces, one.judged.value, one.judged.revision) == (first, 12_000_000, 2)
    (second,) = await deliver(known)
    assert (second.seq, second.replaces, second.old_value, second.value) == (2, 1, "11.000", "12.000")
    assert await known.delivery_rows(2) == (second,)
    await known.judge([verdict(1, Quality.EDITED, n=3, value=13_000_000)])
    (one,) = await known.undelivered(limit=9)
    assert one.replaces == second


async def test_a_verdict_that_changes_nothing_is_nothing_new(known: Ledger) -> None:
    await read(known, reading(1, 11))
    await verify(known)
    await deliver(known)
    await known.judge([verdict(1, Quality.SUSPECT, n=2)])
    assert await due(known) == []
    await known.judge([verdict(1, Quality.VERIFIED, n=3)])
    assert await due(known) == []
    await known.judge([verdict(1, Quality.ACCEPTED, n=4)])
    assert len(await due(known)) == 1


async def test_a_conflict_takes_a_due_value_back(known: Ledger) -> None:
    await read(known, reading(1, 11))
    await verify(known)
    values = await known.undelivered(limit=9)
    await read(known, reading(1, 12))
    assert await due(known) == []
    rows = rows_of(values)
    with pytest.raises(DeliveryRefused, match=r"row 1 .* has nothing to hand over"):
        await known.promise_delivery(rows, delivery_of(rows))
    assert await known.deliveries() == ()


async def test_a_verdict_between_reading_and_promising(known: Ledger) -> None:
    await read(known, reading(1, 11))
    await verify(known)
    rows = rows_of(await known.undelivered(limit=9))
    await known.judge([verdict(1, Quality.EDITED, n=2, value=12_000_000)])
    with pytest.raises(DeliveryRefused, match=r"row 1 .* has changed meanwhile"):
        await known.promise_delivery(rows, delivery_of(rows))
    assert await known.delivery_rows(1) == ()


async def test_numbers_follow_each_other(known: Ledger) -> None:
    await read(known, *(reading(hour, hour) for hour in (1, 2, 3)))
    await verify(known)
    values = await known.undelivered(limit=9)
    first, second = rows_of(values[:2]), rows_of(values[2:], 3)
    gap = rows_of(values[2:], 4)
    with pytest.raises(DeliveryRefused, match="delivery 2 does not follow delivery 0"):
        await known.promise_delivery(first, delivery_of(first, 2))
    with pytest.raises(DeliveryRefused, match="not numbered from 1 on"):
        await known.promise_delivery(second, delivery_of(second))
    with pytest.raises(DeliveryRefused, match="does not name the manifest of delivery 0"):
        await known.promise_delivery(first, delivery_of(first, before="x"))
    with pytest.raises(DeliveryRefused, match="does not count its rows"):
        await known.promise_delivery(first, dataclasses.replace(delivery_of(first), rows=3))
    with pytest.raises(DeliveryRefused, match="not numbered"):
        await known.promise_delivery([], delivery_of(first))
    await known.promise_delivery(first, delivery_of(first))
    with pytest.raises(DeliveryRefused, match="does not name the manifest of delivery 1"):
        await known.promise_delivery(second, delivery_of(second, 2))
    with pytest.raises(DeliveryRefused, match="not numbered from 3 on"):
        await known.promise_delivery(gap, delivery_of(gap, 2, "manifest 1"))
    with pytest.raises(DeliveryRefused, match="does not follow delivery 1"):
        await known.promise_delivery(second, delivery_of(second, 3, "manifest 1"))
    await known.promise_delivery(second, delivery_of(second, 2, "manifest 1"))
    assert [one.batch_seq for one in await known.deliveries()] == [1, 2]


async def test_a_row_must_be_what_stands(known: Ledger) -> None:
    await read(known, reading(1, 11))
    await verify(known)
    (good,) = rows_of(await known.undelivered(limit=9))

    async def refused(says: str, *rows: dataclasses.Field[object] | object) -> None:
        with pytest.raises(DeliveryRefused, match=says):
            await known.promise_delivery(list(rows), delivery_of(list(rows)))  # type: ignore[arg-type]

    await refused("has changed", dataclasses.replace(good, value="11.001"))
    await refused("has changed", dataclasses.replace(good, quality=Quality.ACCEPTED))
    await refused("'many' is no value", dataclasses.replace(good, value="many"))
    await refused("nothing to hand over", dataclasses.replace(good, time=at(7)))
    await refused("does not name the row", dataclasses.replace(good, replaces=1))
    await refused("row 2 .* nothing to hand over", good, dataclasses.replace(good, seq=2))


async def test_a_promise_again_has_no_effect(known: Ledger) -> None:
    await read(known, reading(1, 11))
    await verify(known)
    rows = await deliver(known)
    await known.delivery_written(1)
    await known.promise_delivery(rows, delivery_of(rows))
    assert await known.deliveries() == (dataclasses.replace(delivery_of(rows), written=True),)
    for other in (
        dataclasses.replace(delivery_of(rows), sha256="other"),
        dataclasses.replace(delivery_of(rows), rows=2),
    ):
        with pytest.raises(DeliveryRefused, match="delivery 1 was handed over already, with other content"):
            await known.promise_delivery(rows, other)
    with pytest.raises(DeliveryRefused, match="with other content"):
        await known.promise_delivery([dataclasses.replace(rows[0], account="x")], delivery_of(rows))


async def test_its_files_are_on_disk(known: Ledger) -> None:
    with pytest.raises(DeliveryRefused, match="there is no delivery 1"):
        await known.delivery_written(1)
    await read(known, reading(1, 11))
    await verify(known)
    await deliver(known)
    assert [one.written for one in await known.deliveries()] == [False]
    await known.delivery_written(1)
    await known.delivery_written(1)
    assert [one.written for one in await known.deliveries()] == [True]
