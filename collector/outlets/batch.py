"""The two files of a delivery as bytes (DESIGN §7). Pure: the same rows give the same bytes, for ever.

Each line and the manifest are JSON with the keys in the order of DESIGN, no blanks, UTF-8, one line feed at the end. The
manifest carries the hash of the data and of the manifest before it, so that a delivery left out or altered shows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Context, Decimal

from storage.days import utc_text
from storage.errors import DeliveryRefused
from storage.records import Delivery, DeliveryRow

FORMAT = 1
FIRST_PREVIOUS = "0" * 64
_EXACT = Context(prec=100)


def data_name(batch_seq: int) -> str:
    """`batch-00000001.jsonl`"""
    return f"batch-{batch_seq:08d}.jsonl"


def manifest_name(batch_seq: int) -> str:
    """`batch-00000001.manifest.json`"""
    return f"batch-{batch_seq:08d}.manifest.json"


def number_rows(rows: Sequence[DeliveryRow], from_seq: int) -> tuple[DeliveryRow, ...]:
    """The rows with their sequence numbers."""
    return tuple(replace(row, seq=seq) for seq, row in enumerate(rows, start=from_seq))


def compose(rows: Sequence[DeliveryRow], *, after: Delivery | None, created_at: datetime) -> Delivery:
    """The delivery that follows `after` (None: the first) and holds these numbered rows."""
    batch_seq = 1 if after is None else after.batch_seq + 1
    unsealed = Delivery(
        batch_seq=batch_seq,
        from_seq=rows[0].seq,
        to_seq=rows[-1].seq,
        rows=len(rows),
        sha256=hashlib.sha256(data_bytes(rows)).hexdigest(),
        prev_sha256=FIRST_PREVIOUS if after is None else after.manifest_sha256,
        manifest_sha256="",
        control_totals=control_totals(rows),
        data_file=data_name(batch_seq),
        created_at=created_at,
    )
    return replace(unsealed, manifest_sha256=hashlib.sha256(manifest_bytes(unsealed)).hexdigest())


def check(delivery: Delivery, rows: Sequence[DeliveryRow]) -> tuple[bytes, bytes]:
    """Data and manifest of a promised delivery, made again from the ledger.

    :raises DeliveryRefused: if the ledger's rows no longer give what was promised.
    """
    data, manifest = data_bytes(rows), manifest_bytes(delivery)
    made = (hashlib.sha256(data).hexdigest(), hashlib.sha256(manifest).hexdigest())
    if made != (delivery.sha256, delivery.manifest_sha256):
        raise DeliveryRefused(
            f"delivery {delivery.batch_seq} in the ledger is not what was promised: its rows give another checksum"
        )
    return data, manifest


def control_totals(rows: Sequence[DeliveryRow]) -> dict[str, str]:
    """Sum of `value`, before multipliers, of each quantity; with the decimals of the finest."""
    totals: dict[str, Decimal] = {}
    for row in rows:
        totals[row.quantity] = _EXACT.add(totals.get(row.quantity, Decimal(0)), Decimal(row.value))
    return {quantity: f"{totals[quantity]:f}" for quantity in sorted(totals)}


def data_bytes(rows: Sequence[DeliveryRow]) -> bytes:
    """The data file."""
    return b"".join(_line(row_object(row)) for row in rows)


def manifest_bytes(delivery: Delivery) -> bytes:
    """The manifest file."""
    return _line(
        {
            "format": FORMAT,
            "batch_seq": delivery.batch_seq,
            "prev_sha256": delivery.prev_sha256,
            "from_seq": delivery.from_seq,
            "to_seq": delivery.to_seq,
            "rows": delivery.rows,
            "control_totals": dict(sorted(delivery.control_totals.items())),
            "data_file": delivery.data_file,
            "sha256": delivery.sha256,
            "created_at": utc_text(delivery.created_at),
        }
    )


def row_object(row: DeliveryRow) -> dict[str, object]:
    """A row with the keys of DESIGN §7."""
    keys: dict[str, object] = {
        "seq": row.seq,
        "type": row.type,
        "account": row.account,
        "point": row.point,
        "meter": row.meter,
        "quantity": row.quantity,
        "time": utc_text(row.time),
        "basis": str(row.basis),
        "value": row.value,
        "unit": row.unit,
        "multiplier": row.multiplier,
        "quality": str(row.quality),
        "source": str(row.source),
        "revision": row.revision,
    }
    if row.replaces is not None:
        keys |= {"replaces": row.replaces, "old_value": row.old_value, "reason": row.reason}
    return keys


def _line(content: Mapping[str, object]) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode() + b"\n"
