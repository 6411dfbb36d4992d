"""Records as JSON: exactly the keys that DESIGN §7 fixes, and no others. Values are decimal strings, times RFC 3339 in UTC.

Whoever reads these lines was promised that they stay; a new key is a new promise.
"""

from __future__ import annotations

import json
from typing import Any

from protocols.catalogue import describe
from protocols.obis import Obis
from storage.days import utc_text
from storage.records import Judged, Missing, Quality, Reading
from storage.values import to_text

Shape = dict[str, Any]


def one_line(shape: Shape) -> str:
    """One object a line, Chinese as it is."""
    return json.dumps(shape, ensure_ascii=False)


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
