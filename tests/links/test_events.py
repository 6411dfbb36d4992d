"""Events and status words of simulated meters: only what is new is asked for, each is kept once; a cut explains what it took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from collector.acquisition.event_visit import Known, Place, new_records, read_status
from collector.acquisition.line import Line
from collector.acquisition.links import make_link
from collector.acquisition.tasks import Collected, Task
from collector.acquisition.urgency import Urgency
from collector.jobs.collect import Collect
from collector.jobs.events import SupplyRounds
from protocols.dialects import WITNESSES
from protocols.profile import builtin_profiles
from protocols.witness import Sort
from simulators.dlt645_events import Event
from simulators.faults import Fault, FaultKind
from storage.ledger.port import Ledger
from storage.memory import MemoryLedger
from storage.records import Basis, Owner, Slot
from tests.links.clockwork import CHANNEL, MORNING, ZONE, Street, device
from tests.links.peers import dlt645_meter

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
MIDNIGHT = datetime(2026, 3, 14, tzinfo=ZONE)
CUT = Fault("161", FaultKind.POWER_DOWN, MIDNIGHT - HOUR, MIDNIGHT + HOUR)


async def asked(
    street: Street, ledger: Ledger, quantity: str = "events", basis: Basis = Basis.INSTANT, at: datetime | None = None
) -> list[Collected]:
    """Every meter, for one thing, as the planner would have it."""
    collect = Collect(ledger, street.clock, ZONE, {CHANNEL: street.route}, builtin_profiles())
    instant = (at or street.clock.now()).astimezone(UTC)
    return [
        await collect.task(Task(row, (Slot("plan", row.meter.meter, quantity, basis, instant),), Urgency.CARE))
        for row in street.rows
    ]


def with_faults(street: Street, meter: str, *faults: Fault) -> None:
    street.devices[meter].meter.faults = faults


def questions(street: Street) -> list[str]:
    """Identifiers that were asked for, and forget them."""
    frames = [sent.lstrip(b"\xfe") for sent in street.link.sent]
    street.link.sent.clear()
    return [bytes((byte - 0x33) % 256 for byte in frame[10:14])[::-1].hex().upper() for frame in frames]


async def kinds(ledger: Ledger) -> Sequence[tuple[str, str]]:
    return [(one.kind, one.phase) for one in await ledger.events()]


async def test_each_kind_is_read_with_its_own_time() -> None:
    one = device("161")
    one.events = (
        Event("cover_opened", MORNING - DAY, MORNING - DAY + MINUTE),
        Event("magnetic_field", MORNING - 2 * HOUR, MORNING - HOUR),
        Event("phase_loss", MORNING - 3 * HOUR, MORNING - 2 * HOUR, "A"),
        Event("reversed", MORNING - 4 * HOUR, MORNING - 3 * HOUR, "A"),
        Event("relay_opened", MORNING - 5 * HOUR),
        Event("relay_closed", MORNING - 4 * HOUR),
        Event("terminals_opened", MORNING - 6 * HOUR, MORNING - 5 * HOUR),
    )
    street, ledger = Street([one]), MemoryLedger()
    with_faults(street, "161", CUT)
    (collected,) = await asked(street, ledger)
    assert collected.filled
    found = {(event.kind, event.phase): (event.start, event.end) for event in await ledger.events()}
    told = {(event.kind, event.phase): (event.start, event.end) for event in one.events}
    assert found == told | {("power_down", ""): (CUT.start, CUT.end)}
    assert {count.count for count in await ledger.event_counts("161")} == {1}


async def test_only_what_is_new_is_asked_for() -> None:
    one = device("161")
    one.events = tuple(Event("cover_opened", MORNING - n * HOUR, MORNING - n * HOUR + MINUTE) for n in range(1, 4))
    street, ledger = Street([one]), MemoryLedger()
    await asked(street, ledger)
    assert [name for name in questions(street) if name.startswith("03300D")] == [
        "03300D00",
        "03300D01",
        "03300D02",
        "03300D03",
    ]
    await asked(street, ledger)
    assert len(questions(street)) == 8, "the counters alone"
    one.events = (*one.events, Event("cover_opened", MORNING, MORNING + MINUTE))
    street.clock.advance(MORNING + HOUR)
    await asked(street, ledger)
    assert [name for name in questions(street) if name.startswith("03300D")] == ["03300D00", "03300D01"]
    assert len(await ledger.events()) == 4


async def test_an_event_that_goes_on_is_asked_for_until_it_has_ended() -> None:
    one = device("161")
    one.events = (Event("magnetic_field", MORNING - HOUR, MORNING + HOUR),)
    street, ledger = Street([one]), MemoryLedger()
    await asked(street, ledger)
    assert [event.end for event in await ledger.events()] == [None]
    street.clock.advance(MORNING + 2 * HOUR)
    await asked(street, ledger)
    assert [event.end for event in await ledger.events()] == [MORNING + HOUR]
    questions(street)
    await asked(street, ledger)
    assert "03350001" not in questions(street)


async def test_a_visit_that_was_cut_short_is_made_good() -> None:
    """Its counters are not kept, so its records are asked for again."""
    one = device("161")
    one.events = (Event("cover_opened", MORNING - HOUR, MORNING - MINUTE),)
    street, ledger = Street([one]), MemoryLedger()
    write = street.link.write

    async def failing(data: bytes, deadline: float) -> None:
        await write(data, deadline)
        if bytes.fromhex("34 40 63 36") in data:  # 03300D01
            street.link._answers.clear()

    street.link.write = failing  # type: ignore[method-assign]
    (collected,) = await asked(street, ledger)
    assert [missing.reason for missing in collected.batch.missing] == ["no_answer"]
    assert await ledger.event_counts("161") == ()
    street.link.write = write  # type: ignore[method-assign]
    await asked(street, ledger)
    assert await kinds(ledger) == [("cover_opened", "")]


@pytest.mark.parametrize(
    ("before", "count", "still", "records"),
    [
        *((None, 0, False, 0), (None, 3, False, 3), (None, 99, False, 10)),
        *((3, 5, False, 2), (3, 3, False, 0), (3, 3, True, 1), (3, 5, True, 2), (9, 2, False, 2), (0, 0, True, 0)),
    ],
)
def test_how_many_records_are_asked_for(before: int | None, count: int, still: bool, records: int) -> None:
    sort = Sort("power_down")
    known = Known({} if before is None else {sort: before}, (sort,) if still else ())
    assert new_records(sort, count, known, 10) == records


@pytest.mark.parametrize("block", [True, False])
async def test_status_words_in_one_answer_or_seven(block: bool) -> None:
    one = device("161")
    one.status, one.status_block = (0, 0, 0x0050, 0, 0, 0, 0x0020), block
    street, ledger = Street([one]), MemoryLedger()
    (collected,) = await asked(street, ledger, "status")
    assert collected.filled
    (status,) = await ledger.last_statuses()
    assert status.words == (0, 0, 0x0050, 0, 0, 0, 0x0020)
    assert WITNESSES["dlt645"].says(status.words) == ("relay open", "relay commanded open", "power down")
    assert len(questions(street)) == (1 if block else 8)


async def test_status_words_of_a_meter_that_we_did_not_write() -> None:
    """PyPI dlt645 has no block of status words, and gives them one by one."""
    words = {f"040005{word:02X}": "0000" for word in (1, 2, 4, 5, 6, 7)} | {"04000503": "0050"}
    street = Street([device("161")])
    with dlt645_meter("000000000161", parameter=words) as port:
        line = Line(make_link(f"tcp://127.0.0.1:{port}"), street.clock)
        timing = replace(street.route.timing, timeout_s=5.0, worst_reply_s=5.0, gap_s=0.05)
        place = Place(line, street.route.dialect, timing, street.rows[0].meter)
        seen = await read_status(place, WITNESSES["dlt645"])
        await line.close()
    assert seen.status is not None
    assert seen.status.words == (0, 0, 0x0050, 0, 0, 0, 0)


async def test_a_power_cut_explains_what_it_took() -> None:
    """Meter 161 had no power from 23:00 to 01:00, meter 162 a loose wire: the first says so itself, the second cannot."""
    street, ledger = Street([device("161"), device("162"), device("163")], at=MIDNIGHT + 5 * MINUTE), MemoryLedger()
    with_faults(street, "161", CUT)
    with_faults(street, "162", replace(CUT, meter="162", kind=FaultKind.SILENT))
    await ledger.import_registry(street.rows, digest="", at=MIDNIGHT.astimezone(UTC))
    await asked(street, ledger, "1-0:1.8.0", Basis.FREEZE, MIDNIGHT)
    street.clock.advance(MIDNIGHT + 2 * HOUR)
    assert await SupplyRounds(ledger, street.clock).look() == 0, "nobody has asked them yet"
    tried = {one.slot.meter: one.attempts for one in await ledger.closed(CUT.start, MIDNIGHT.astimezone(UTC) + MINUTE)}
    await asked(street, ledger)
    assert await SupplyRounds(ledger, street.clock).look() == 1
    assert await SupplyRounds(ledger, street.clock).look() == 0
    why = {one.slot.meter: one for one in await ledger.closed(CUT.start, MIDNIGHT.astimezone(UTC) + MINUTE)}
    assert {meter: (one.reason, one.owner) for meter, one in why.items()} == {
        "161": ("no_supply", Owner.SUPPLY),
        "162": ("no_answer", Owner.LINE),
    }
    assert "before: no_answer" in why["161"].detail
    assert why["161"].attempts == tried["161"] > 0
    counts = {one.reason: one.slots for one in await ledger.day_counts(MIDNIGHT.date() - DAY, MIDNIGHT.date() - DAY)}
    assert counts == {"": 1, "no_supply": 1, "no_answer": 1}


async def test_a_box_without_power_is_seen_by_its_neighbours() -> None:
    """Meters 161 and 162 share a box; 163 on the same line answers. When all are silent, it is the line's fault."""
    for dark, explained in ((("161", "162"), 2), (("161", "162", "163"), 0), (("161",), 0)):
        street, ledger = (
            Street([device(name) for name in ("161", "162", "163")], at=MIDNIGHT + 5 * MINUTE),
            MemoryLedger(),
        )
        boxes = {"161": "A", "162": "A", "163": "B"}
        rows = [replace(one, point=replace(one.point, box=boxes[one.meter.meter])) for one in street.rows]
        await ledger.import_registry(rows, digest="", at=MIDNIGHT.astimezone(UTC))
        for meter in dark:
            with_faults(street, meter, replace(CUT, meter=meter))
        await asked(street, ledger, "1-0:1.8.0", Basis.FREEZE, MIDNIGHT)
        street.clock.advance(MIDNIGHT + 30 * MINUTE)
        assert await SupplyRounds(ledger, street.clock).look() == explained, dark
