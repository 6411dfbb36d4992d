"""The registry and the plans in SQL."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from storage import tables
from storage.ledger.dialect import insert_or_set
from storage.ledger.importing import compare_plans, compare_registry, reaches_back
from storage.ledger.vocabulary import Vocabulary
from storage.records import Basis, Plan, PlanVersion
from storage.registry import Installation, Meter, Point, Ratio, Registered, RegistryChange

_LONG_AGO = datetime.min.replace(tzinfo=UTC)

METER_FIELDS = tuple(field.name for field in fields(Meter))
POINT_FIELDS = tuple(field.name for field in fields(Point))
_m, _p, _i = tables.meter, tables.point, tables.installation

COLUMNS = (
    *(_m.c[name] for name in METER_FIELDS),
    *(_p.c[name.rstrip("_")] for name in POINT_FIELDS),
    *(_i.c[name] for name in ("start", "end", "ct_primary", "ct_secondary", "pt_primary", "pt_secondary")),
    _i.c.start_readings,
)
"""What `registered` reads; to be selected from `installed`."""

installed = _i.join(_m, _m.c.id == _i.c.meter_id).join(_p, _p.c.id == _i.c.point_id)


def registered(row: Sequence[Any]) -> Registered:
    """Of the columns of a row."""
    meter = Meter(*row[: len(METER_FIELDS)])
    point = Point(*row[len(METER_FIELDS) : len(METER_FIELDS) + len(POINT_FIELDS)])
    start, end, ct_primary, ct_secondary, pt_primary, pt_secondary, start_readings = row[-7:]
    ct, pt = Ratio(ct_primary, ct_secondary), Ratio(pt_primary, pt_secondary)
    return Registered(
        meter, point, Installation(meter.meter, point.point, start, end, ct, pt, json.loads(start_readings))
    )


async def registry(connection: AsyncConnection) -> tuple[Registered, ...]:
    """The open installations, by meter."""
    query = select(*COLUMNS).select_from(installed).where(_i.c.end.is_(None)).order_by(_m.c.meter)
    return tuple(registered(row) for row in await connection.execute(query))


async def installations(connection: AsyncConnection, start: datetime, end: datetime) -> tuple[Registered, ...]:
    """See the port."""
    stood = and_(_i.c.start < end, or_(_i.c.end.is_(None), _i.c.end > start))
    query = select(*COLUMNS).select_from(installed).where(stood).order_by(_m.c.meter, _i.c.start)
    return tuple(registered(row) for row in await connection.execute(query))


async def left_places(connection: AsyncConnection, since: datetime) -> tuple[Registered, ...]:
    """See the port."""
    query = select(*COLUMNS).select_from(installed).where(_i.c.end > since).order_by(_m.c.meter, _i.c.start)
    return tuple(registered(row) for row in await connection.execute(query))


async def last_digest(connection: AsyncConnection) -> str:
    """Of the last import."""
    query = select(tables.registry_import.c.digest).order_by(tables.registry_import.c.id.desc()).limit(1)
    return str(await connection.scalar(query) or "")


async def import_registry(
    connection: AsyncConnection, rows: Sequence[Registered], *, digest: str, at: datetime
) -> RegistryChange:
    """See the port."""
    known = {row.meter.meter: row for row in await registry(connection)}
    done = compare_registry(known, rows, at)
    meters, points = await _describe(connection, rows) if rows else ({}, {})
    had_one = set(await connection.scalars(select(_i.c.meter_id).distinct()))
    if done.moved:
        await connection.execute(
            update(_i).where(_i.c.meter_id == bindparam("of"), _i.c.end.is_(None)).values(end=bindparam("at")),
            [{"of": meters[row.meter.meter], "at": at} for row in done.moved],
        )
    opened = []
    for row in (*done.added, *done.moved):
        meter, start = meters[row.meter.meter], row.installation.start
        since = _LONG_AGO if meter not in had_one and reaches_back(row, at) else start
        place = {"meter_id": meter, "point_id": points[row.point.point], "since": since, "start": start}
        opened.append(place | _installation_values(row.installation))
    if opened:
        await connection.execute(insert(_i), opened)
    if done.altered:
        changed = [_installation_values(row.installation) | {"of": meters[row.meter.meter]} for row in done.altered]
        names = [name for name in changed[0] if name != "of"]
        statement = update(_i).where(_i.c.meter_id == bindparam("of"), _i.c.end.is_(None))
        await connection.execute(statement.values({name: bindparam(name) for name in names}), changed)
    await connection.execute(insert(tables.registry_import).values({"digest": digest, "at": at} | asdict(done.change)))
    return done.change


async def _describe(connection: AsyncConnection, rows: Sequence[Registered]) -> tuple[dict[str, int], dict[str, int]]:
    """Write down meters and points as the rows have them; their numbers."""
    await connection.execute(
        insert_or_set(_m, ["meter"], METER_FIELDS[1:]),
        [{name: getattr(row.meter, name) for name in METER_FIELDS} for row in rows],
    )
    names = [name.rstrip("_") for name in POINT_FIELDS]
    await connection.execute(
        insert_or_set(_p, ["point"], names[1:]),
        [{name.rstrip("_"): getattr(row.point, name) for name in POINT_FIELDS} for row in rows],
    )
    meters = {meter: number for number, meter in await connection.execute(select(_m.c.id, _m.c.meter))}
    points = {point: number for number, point in await connection.execute(select(_p.c.id, _p.c.point))}
    return meters, points


def _installation_values(installation: Installation) -> dict[str, object]:
    return {
        "ct_primary": installation.ct.primary,
        "ct_secondary": installation.ct.secondary,
        "pt_primary": installation.pt.primary,
        "pt_secondary": installation.pt.secondary,
        "start_readings": json.dumps(dict(installation.start_readings), sort_keys=True),
    }


# --- plans ------------------------------------------------------------------------------------------------------------


async def keep_plans(connection: AsyncConnection, words: Vocabulary, plans: Sequence[Plan], *, at: datetime) -> None:
    """See the port."""
    version = tables.plan_version
    still_open = await _versions(connection, version.c.valid_to.is_(None))
    ended, void, opened = compare_plans(still_open, plans, at)
    ids = await words.plans.ids(connection, (plan.name for plan in (*(v.plan for v in (*ended, *void)), *plans)))
    current = version.c.plan_id == bindparam("of"), version.c.valid_to.is_(None)
    if ended:
        closing = update(version).where(*current).values(valid_to=bindparam("at"))
        await connection.execute(closing, [{"of": ids[one.plan.name], "at": at} for one in ended])
    if void:
        await connection.execute(delete(version).where(*current), [{"of": ids[one.plan.name]} for one in void])
    if opened:
        rows = [{"plan_id": ids[plan.name], "definition": _definition(plan), "valid_from": at} for plan in opened]
        await connection.execute(insert(version), rows)


async def plan_versions(connection: AsyncConnection, start: datetime, end: datetime) -> tuple[PlanVersion, ...]:
    """See the port."""
    version = tables.plan_version
    valid = and_(version.c.valid_from < end, or_(version.c.valid_to.is_(None), version.c.valid_to > start))
    return tuple(await _versions(connection, valid))


async def _versions(connection: AsyncConnection, chosen: ColumnElement[bool]) -> list[PlanVersion]:
    version = tables.plan_version
    query = (
        select(version.c.definition, version.c.valid_from, version.c.valid_to)
        .join(tables.plan)
        .where(chosen)
        .order_by(tables.plan.c.name, version.c.valid_from)
    )
    rows = await connection.execute(query)
    return [PlanVersion(_plan(definition), valid_from, valid_to) for definition, valid_from, valid_to in rows]


def _definition(plan: Plan) -> str:
    return json.dumps(asdict(plan), ensure_ascii=False, sort_keys=True)


def _plan(definition: str) -> Plan:
    told = json.loads(definition)
    lists = {name: tuple(value) for name, value in told.items() if isinstance(value, list)}
    return Plan(**(told | lists | {"basis": Basis(told["basis"])}))
