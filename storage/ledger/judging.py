"""Verdicts in SQL: what waits for one, and adding it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import and_, bindparam, false, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from storage import tables
from storage.columns import BASIS, to_microseconds
from storage.ledger import registry, serving
from storage.ledger.delivering import settle_due
from storage.ledger.dialect import as_list, listed
from storage.ledger.judgement import check_revision, never_read, stays_open
from storage.ledger.numbers import Key, Numbers, numbers
from storage.ledger.series import Value, Waiting, series_of
from storage.ledger.vocabulary import Vocabulary
from storage.records import RELEASED, Basis, Finding, Revision, Series
from storage.registry import Registered
from storage.values import SMALLEST

_r, _revision, _finding, _i = tables.reading, tables.revision, tables.finding, tables.installation
_KEY = ("meter_id", "quantity_id", "basis", "time")
_TOLD = ("point", "n", "quality", "made_at", "value", "ruleset", "maker", "reason")
_keys, _ids = listed(*_KEY), listed("id")
_BASIS = BASIS.numbers()

# --- what waits -------------------------------------------------------------------------------------------------------

_VALUE = (_r.c.time, serving.served_value, serving.resolution, _r.c.conflicted, _r.c.revision)
_waiting = (
    select(_r.c.meter_id, _r.c.quantity_id, tables.quantity.c.code, _r.c.basis, _i.c.id, *_VALUE)
    .select_from(serving.beside.join(_i, serving.belongs))
    .where(_r.c.waits.is_(True))
    .order_by(*(_r.c[name] for name in _KEY))
    .limit(bindparam("most"))
)

_gaps = listed("meter_id", "quantity_id", "basis", "after", "before")
_earlier, _released = _r.alias("earlier"), _revision.alias("released")
_last_released = (
    select(_earlier.c.id)
    .join(_released, and_(_released.c.reading_id == _earlier.c.id, _released.c.n == _earlier.c.revision))
    .where(
        *(_earlier.c[name] == _gaps.c[name] for name in ("meter_id", "quantity_id", "basis")),
        _earlier.c.time > _gaps.c.after,
        _earlier.c.time < _gaps.c.before,
        _earlier.c.waits == false(),
        _released.c.quality.in_(RELEASED),
    )
    .order_by(_earlier.c.time.desc())
    .limit(1)
    .correlate(_gaps)
    .scalar_subquery()
)
_find_leads = select(_gaps.c.place, _last_released.label("lead"))
_lead_values = (
    select(_r.c.id, _r.c.time, serving.value, serving.resolution, _r.c.conflicted, _r.c.revision)
    .select_from(serving.beside)
    .where(_r.c.id.in_(select(_ids.c.id)))
)


async def unjudged(connection: AsyncConnection, *, limit: int) -> tuple[Series, ...]:
    """See the port."""
    rows = (await connection.execute(_waiting, {"most": limit})).all()
    places = await _registered(connection, {row[4] for row in rows})
    leads = await _leads_of(connection, [(row[0], row[1], row[3], row[5]) for row in rows])
    waiting = []
    for place, (_, _, quantity, basis, installation, *value) in enumerate(rows):
        waiting.append(Waiting(places[installation], quantity, basis, Value(*value), leads.get(place)))
    return series_of(waiting)


async def _leads_of(
    connection: AsyncConnection, waiting: Sequence[tuple[int, int, Basis, datetime]]
) -> dict[int, Value]:
    """By place: the last released value between each that waits and the one before it."""
    gaps = []
    previous: tuple[int, int, Basis, datetime] | None = None
    for one in waiting:
        same = previous is not None and previous[:3] == one[:3]
        after = to_microseconds(previous[3]) if previous and same else SMALLEST
        gaps.append((one[0], one[1], _BASIS[one[2]], after, to_microseconds(one[3])))
        previous = one
    found = await connection.execute(_find_leads, {"listed": as_list(gaps)})
    leads = {place: lead for place, lead in found if lead is not None}
    ids = {"listed": as_list((lead,) for lead in leads.values())}
    values = {number: Value(*value) for number, *value in await connection.execute(_lead_values, ids)}
    return {place: values[lead] for place, lead in leads.items()}


async def _registered(connection: AsyncConnection, installations: set[int]) -> dict[int, Registered]:
    query = select(_i.c.id, *registry.COLUMNS).select_from(registry.installed).where(_i.c.id.in_(select(_ids.c.id)))
    rows = await connection.execute(query, {"listed": as_list((number,) for number in sorted(installations))})
    return {number: registry.registered(row) for number, *row in rows}


# --- adding verdicts --------------------------------------------------------------------------------------------------

_find = select(_keys.c.place, _r.c.id, _r.c.conflicted, _r.c.revision).join_from(
    _keys, _r, and_(*(_r.c[name] == _keys.c[name] for name in _KEY))
)
_stored = (
    select(_r.c.id, tables.meter.c.meter, tables.quantity.c.code, _r.c.basis, _r.c.time)
    .add_columns(*(_revision.c[name] for name in _TOLD))
    .join_from(_ids, _r, _r.c.id == _ids.c.id)
    .join(_revision)
    .join(tables.meter)
    .join(tables.quantity)
)
_found = (
    select(_finding.c.reading_id, _finding.c.n, _finding.c.rule, tables.meter.c.meter, tables.quantity.c.code)
    .add_columns(_finding.c.basis, _finding.c.time, _finding.c.evidence)
    .join_from(_finding, tables.meter)
    .join(tables.quantity)
)
_stands = update(_r).where(_r.c.id == bindparam("of")).values(revision=bindparam("n"), waits=bindparam("stays_open"))


@dataclass(slots=True)
class _Stand:
    """A reading to be judged."""

    number: int
    conflicted: bool
    count: int
    there: dict[int, Revision] = field(default_factory=dict)
    new: list[Revision] = field(default_factory=list)


async def judge(connection: AsyncConnection, words: Vocabulary, revisions: Sequence[Revision]) -> None:
    """See the port."""
    findings = [finding for revision in revisions for finding in revision.findings]
    named = await numbers(
        connection,
        words,
        meters=(one.meter for many in (revisions, findings) for one in many),
        quantities=(one.quantity for many in (revisions, findings) for one in many),
    )
    keys = [named.key(one.meter, one.quantity, one.basis, one.time) for one in revisions]
    rows = await connection.execute(_find, {"listed": as_list(keys)})
    stands = {keys[place]: _Stand(number, conflicted, count) for place, number, conflicted, count in rows}
    await _load_repeated(connection, keys, stands, revisions)
    for key, revision in zip(keys, revisions, strict=True):
        stand = stands.get(key)
        if stand is None:
            raise never_read(revision)
        if check_revision(revision, stand.count, stand.there):
            stand.count = revision.n
            stand.there[revision.n] = revision
            stand.new.append(revision)
    await _add(connection, named, [stand for stand in stands.values() if stand.new])


async def _load_repeated(
    connection: AsyncConnection, keys: Sequence[Key], stands: Mapping[Key, _Stand], revisions: Sequence[Revision]
) -> None:
    """What is stored where a number is not new: seldom."""
    of = {
        stand.number: stand
        for key, revision in zip(keys, revisions, strict=True)
        if (stand := stands.get(key)) and revision.n <= stand.count
    }
    if not of:
        return
    ids = {"listed": as_list((number,) for number in sorted(of))}
    found: defaultdict[tuple[int, int], list[Finding]] = defaultdict(list)
    query = _found.join(_ids, _ids.c.id == _finding.c.reading_id).order_by(_finding.c.place)
    for number, n, *row in await connection.execute(query, ids):
        found[number, n].append(_finding_of(row))
    for number, meter, quantity, basis, time, *row in await connection.execute(_stored, ids):
        told = dict(zip(_TOLD, row, strict=True))
        there = Revision(
            meter=meter,
            quantity=quantity,
            basis=basis,
            time=time,
            findings=tuple(found[number, told["n"]]),
            **told,
        )
        of[number].there[there.n] = there


async def _add(connection: AsyncConnection, named: Numbers, stands: Sequence[_Stand]) -> None:
    if not stands:
        return
    new = [(stand.number, revision) for stand in stands for revision in stand.new]
    rows = [{"reading_id": number, **{name: getattr(one, name) for name in _TOLD}} for number, one in new]
    await connection.execute(insert(_revision), rows)
    findings = [
        {
            "reading_id": number,
            "n": revision.n,
            "place": place,
            "rule": one.rule,
            "meter_id": named.meters[one.meter],
            "quantity_id": named.quantities[one.quantity],
            "basis": one.basis,
            "time": one.time,
            "evidence": json.dumps(dict(one.evidence), ensure_ascii=False, sort_keys=True),
        }
        for number, revision in new
        for place, one in enumerate(revision.findings)
    ]
    if findings:
        await connection.execute(insert(_finding), findings)
    settled = [
        {
            "of": stand.number,
            "n": stand.count,
            "stays_open": stays_open(stand.new[-1].quality, conflicted=stand.conflicted),
        }
        for stand in stands
    ]
    await connection.execute(_stands, settled)
    await settle_due(connection, [stand.number for stand in stands])


async def findings(connection: AsyncConnection, *, start: datetime | None) -> tuple[Finding, ...]:
    """See the port."""
    latest = and_(_r.c.id == _finding.c.reading_id, _r.c.revision == _finding.c.n)
    query = _found.join(_r, latest).order_by(
        _finding.c.time,
        tables.meter.c.meter,
        tables.quantity.c.code,
        _finding.c.basis,
        _finding.c.rule,
        _finding.c.reading_id,
        _finding.c.place,
    )
    if start is not None:
        query = query.where(_finding.c.time >= start)
    return tuple(_finding_of(row[2:]) for row in await connection.execute(query))


def _finding_of(row: Sequence[Any]) -> Finding:
    rule, meter, quantity, basis, time, evidence = row
    return Finding(rule, meter, quantity, basis, time, json.loads(evidence))
