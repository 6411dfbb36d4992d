"""Records as JSON: exactly the keys that DESIGN §7 fixes, and no others. Values are decimal strings, times RFC 3339 in UTC.

Whoever reads these lines was promised that they stay; a new key is a new promise.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, fields
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from collector.jobs.rates import Failing
from collector.jobs.report import NOT_TRIED
from collector.kpi.change import Moved
from collector.kpi.success import Success
from collector.outlets.batch import manifest_bytes
from protocols.catalogue import describe
from protocols.obis import Obis
from storage.care import MeterEvent, StatusWords
from storage.days import utc_text
from storage.dues import Pause
from storage.records import Conflict, Delivery, Judged, Missing, Owner, Quality, Reading
from storage.registry import Ratio, Registered
from storage.values import from_millionths, to_text

Shape = dict[str, Any]


def one_line(shape: Shape) -> str:
    """One object a line, Chinese as it is."""
    return json.dumps(shape, ensure_ascii=False)


READING_KEYS = (
    "meter",
    "point",
    "quantity",
    "time",
    "basis",
    "value",
    "unit",
    "kind",
    "quality",
    "source",
    "revision",
    "received_at",
)


def reading(judged: Judged) -> Shape:
    """A reading as it stands. The value has the register's own decimals."""
    read = judged.reading
    quantity = describe(Obis.parse(read.quantity))
    return {
        "meter": read.meter,
        "point": judged.point or None,
        "quantity": read.quantity,
        "time": utc_text(read.time),
        "basis": str(read.basis),
        "value": to_text(judged.value, read.resolution),
        "unit": quantity.unit,
        "kind": str(quantity.kind),
        "quality": str(judged.quality),
        "source": str(read.source),
        "revision": judged.revision,
        "received_at": utc_text(read.received_at),
    }


def raw_reading(read: Reading, point: str) -> Shape:
    """A reading just made, before anybody judged it."""
    return reading(Judged(read, point, Quality.RAW, 0, read.value))


MISSING_KEYS = (
    "meter",
    "point",
    "quantity",
    "basis",
    "slot",
    "reason",
    "owner",
    "detail",
    "attempts",
    "since",
    "expires",
)


def missing(one: Missing, point: str) -> Shape:
    """A value that was owed and is not there."""
    slot = one.slot
    return {
        "meter": slot.meter,
        "point": point or None,
        "quantity": slot.quantity,
        "basis": str(slot.basis),
        "slot": utc_text(slot.at),
        "reason": one.reason,
        "owner": str(one.owner),
        "detail": one.detail,
        "attempts": one.attempts,
        "since": utc_text(one.since) if one.since else None,
        "expires": utc_text(one.expires) if one.expires else None,
    }


SUCCESS_KEYS = tuple(field.name for field in fields(Success))


def success(one: Success) -> Shape:
    """The figures of one day and group; `rate` in percent, as text."""
    return asdict(one) | {"day": one.day.isoformat(), "metric": str(one.metric), "as_of": utc_text(one.as_of)}


FAILING_KEYS = ("meter", "point", "area", "channel", "days", "at_least", "since", "reason", "owner", "detail")


def failing(one: Failing) -> Shape:
    """A meter without its freeze on days in a row; `at_least`: it was followed back no further."""
    last = one.last
    return {
        "meter": one.due.meter,
        "point": one.due.point or None,
        "area": one.due.area,
        "channel": one.due.channel,
        "days": one.days,
        "at_least": one.at_least,
        "since": one.since.isoformat(),
        "reason": last.reason if last else NOT_TRIED,
        "owner": str(last.owner if last else Owner.OURS),
        "detail": last.detail if last else "",
    }


PAUSE_KEYS = ("kind", "name", "since", "until", "who", "why", "ended_by")


def pause(one: Pause) -> Shape:
    """What was left out on purpose; `until` and `ended_by` null while it lasts."""
    return {
        "kind": str(one.kind),
        "name": one.name,
        "since": utc_text(one.since),
        "until": utc_text(one.until) if one.until else None,
        "who": one.who,
        "why": one.why,
        "ended_by": one.ended_by or None,
    }


MOVED_KEYS = ("day", "metric", "change", "meter", "point", "was_there", "there")


def moved(one: Moved, day: date, metric: str) -> Shape:
    """A meter that changed a rate against the day before."""
    return {
        "day": day.isoformat(),
        "metric": metric,
        "change": str(one.change),
        "meter": one.meter,
        "point": one.point or None,
        "was_there": one.was_there,
        "there": one.there,
    }


EVENT_KEYS = ("meter", "point", "kind", "phase", "start", "end", "lasted_s", "seen_at")


def event(one: MeterEvent, point: str) -> Shape:
    """What a meter wrote down, by its own clock; `end` null: it has not ended, or has none."""
    return {
        "meter": one.meter,
        "point": point or None,
        "kind": one.kind,
        "phase": one.phase or None,
        "start": utc_text(one.start),
        "end": utc_text(one.end) if one.end else None,
        "lasted_s": (one.end - one.start) // timedelta(seconds=1) if one.end else None,
        "seen_at": utc_text(one.seen_at),
    }


STATUS_KEYS = ("meter", "point", "read_at", "words", "says")


def status(one: StatusWords, point: str, says: Iterable[str]) -> Shape:
    """Run status words as they were last read; `says` in English."""
    return {
        "meter": one.meter,
        "point": point or None,
        "read_at": utc_text(one.at),
        "words": " ".join(f"{word:04X}" for word in one.words),
        "says": "; ".join(says),
    }


CONFLICT_KEYS = ("meter", "point", "quantity", "basis", "time", "value", "other", "other_source", "received_at")


def conflict(one: Conflict, point: str) -> Shape:
    """Two values for one moment: `value` was there first."""
    return {
        "meter": one.meter,
        "point": point or None,
        "quantity": one.quantity,
        "basis": str(one.basis),
        "time": utc_text(one.time),
        "value": _number(one.value),
        "other": _number(one.other),
        "other_source": str(one.other_source),
        "received_at": utc_text(one.received_at),
    }


def delivery_shape(one: Delivery) -> Shape:
    """A delivery: its manifest, and whether its files are known to be on disk."""
    manifest: Shape = json.loads(manifest_bytes(one))
    return manifest | {"written": one.written}


def registered(one: Registered, zone: ZoneInfo) -> Shape:
    """An installation, with the columns of the registry file; what a row may leave empty is null."""
    meter, point, installation = one.meter, one.point, one.installation
    return {
        "point": point.point,
        "account": point.account or None,
        "role": point.role,
        "area": point.area or None,
        "feeder": point.feeder or None,
        "station": point.station or None,
        "section": point.section or None,
        "box": point.box or None,
        "phase": point.phase or None,
        "class": point.class_,
        "tariff": point.tariff or None,
        "billing_group": point.billing_group or None,
        "contract_kva": _number(point.contract_kva),
        "pv_kw": _number(point.pv_kw),
        "meter": meter.meter,
        "asset_no": meter.asset_no or None,
        "serial": meter.serial or None,
        "profile": meter.profile,
        "channel": meter.channel,
        "address": meter.address,
        "terminal": meter.terminal or None,
        "wiring": meter.wiring or None,
        "un_v": _number(meter.un_v),
        "imax_a": _number(meter.imax_a),
        "ct_ratio": _ratio(installation.ct),
        "pt_ratio": _ratio(installation.pt),
        "digits": meter.digits,
        "installed": installation.start.astimezone(zone).date().isoformat(),
        "start_readings": ";".join(f"{code}={_number(v)}" for code, v in installation.start_readings.items()) or None,
    }


def _number(millionths: int | None) -> str | None:
    return None if millionths is None else f"{from_millionths(millionths).normalize():f}"


def _ratio(ratio: Ratio) -> str:
    return str(ratio.primary) if ratio.secondary == 1 else f"{ratio.primary}/{ratio.secondary}"
