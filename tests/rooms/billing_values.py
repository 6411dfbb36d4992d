"""Released values for tests of billing and outlets."""

from datetime import UTC, datetime

from storage.records import Basis, DeliveryRow, Judged, Quality, Reading, Source, Undelivered
from storage.registry import Registered
from tests.rooms.vee_series import registered

MIDNIGHT = datetime(2026, 3, 14, 16, tzinfo=UTC)


def reading(
    value: int = 123_450_000, *, quantity: str = "1-0:1.8.0", billable: bool = True, resolution: int = 1_000
) -> Reading:
    """A freeze of meter m1."""
    return Reading("m1", quantity, Basis.FREEZE, MIDNIGHT, value, resolution, Source.POLL, MIDNIGHT, billable=billable)


def undelivered(
    raw: Reading | None = None,
    *,
    value: int | None = None,
    quality: Quality = Quality.VERIFIED,
    revision: int = 1,
    there: Registered | None = None,
    replaces: DeliveryRow | None = None,
) -> Undelivered:
    """A value that billing has not got."""
    raw = raw or reading()
    judged = Judged(raw, "p1", quality, revision, raw.value if value is None else value)
    return Undelivered(judged, there or registered(), replaces)


def row(seq: int = 1, value: str = "123.450", quantity: str = "1-0:1.8.0") -> DeliveryRow:
    """A numbered line."""
    return DeliveryRow(
        seq,
        "READING",
        "a1",
        "p1",
        "m1",
        quantity,
        MIDNIGHT,
        Basis.FREEZE,
        value,
        "kWh",
        "1",
        Quality.VERIFIED,
        Source.POLL,
        1,
    )
