"""The records that rooms exchange: frozen, exact, and able to cross a wire. No ORM, no database, no behaviour but labels.

Times are aware and in UTC. Values are millionths of the canonical unit (`storage.values`). A reading's key is
(meter, quantity, basis, time); the slot it fills stands beside it. Days are the utility's civil days, given by who knows
the zone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from storage.care import ClockCheck, EventCount, MeterEvent, StatusWords
from storage.registry import Registered
from storage.senders import Numbered, Progress


class Basis(StrEnum):
    """How a value came to be."""

    __hash__ = str.__hash__  # an enumeration's own is written in Python, and every slot is looked up by its basis too

    INSTANT = "instant"
    FREEZE = "freeze"
    SETTLEMENT = "settlement"
    CURVE = "curve"


class Source(StrEnum):
    """Which way a value came."""

    POLL = "poll"
    BACKFILL = "backfill"
    TERMINAL = "terminal"
    PUSH = "push"
    MANUAL = "manual"
    ESTIMATE = "estimate"
    EDIT = "edit"


class Quality(StrEnum):
    """What may be done with a value (DESIGN §6)."""

    RAW = "raw"
    VERIFIED = "verified"
    ACCEPTED = "accepted"
    SUSPECT = "suspect"
    ESTIMATED = "estimated"
    EDITED = "edited"
    MISSING = "missing"


RELEASED = (Quality.VERIFIED, Quality.ACCEPTED, Quality.ESTIMATED, Quality.EDITED)
"""What billing may see."""


class Owner(StrEnum):
    """Whose fault it is that a value is missing."""

    OURS = "ours"
    UPLINK = "uplink"
    TERMINAL = "terminal"
    LINE = "line"
    METER = "meter"
    REGISTRY = "registry"
    SUPPLY = "supply"


# --- what is owed, tried and read -------------------------------------------------------------------------------------

WORDS = ("events", "clock", "status")
"""What a plan may read besides quantities; basis instant."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan (采集任务): what, from whom, on which timetable. `every_s` or `at_minute` (minutes after local midnight).

    `read` holds OBIS codes and words (`WORDS`). A plan that was stored before a field was there has its default; so the
    default of a new field must say what was meant without it.
    """

    name: str
    read: tuple[str, ...]
    basis: Basis = Basis.INSTANT
    every_s: int | None = None
    at_minute: int | None = None
    channels: tuple[str, ...] = ()
    areas: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    stations: tuple[str, ...] = ()
    days: tuple[int, ...] = ()
    """Of the month, for settlements; () = the 1st."""
    jitter_s: int = 0
    """Over how long meters are spread, each by its name."""
    window_s: int | None = None
    """How long a slot stays open; None = as its kind has it."""
    cutoff_minute: int | None = None
    """Of the day after the data day: what comes later is not of the first round."""


@dataclass(frozen=True, slots=True)
class PlanVersion:
    """A plan as it was valid from–to (half open)."""

    plan: Plan
    valid_from: datetime
    valid_to: datetime | None = None


@dataclass(frozen=True, slots=True, order=True)
class Slot:
    """One value owed by a plan. `at` is the instant it belongs to: the grid time, or the instant of the freeze.

    `quantity` is an OBIS code, or one of `WORDS`; those are done, not read (`Done`).
    """

    plan: str
    meter: str
    quantity: str
    basis: Basis
    at: datetime


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at one exchange: `outcome` is "ok" or the reason code; the bytes that went and came are kept."""

    meter: str
    channel: str
    plan: str
    started_at: datetime
    duration_us: int
    outcome: str
    owner: Owner | None = None
    detail: str = ""
    sent: bytes = b""
    received: bytes = b""
    drained: int = 0
    """Bytes that came while the line was in quarantine and were thrown away."""


@dataclass(frozen=True, slots=True)
class Done:
    """A slot of one of `WORDS` that has been served: what came of it is stored as something else than a reading."""

    slot: Slot
    data_day: date
    at: datetime
    """When."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One value that was read, as the meter shows it. `resolution` in millionths."""

    meter: str
    quantity: str
    basis: Basis
    time: datetime
    value: int
    resolution: int
    source: Source
    received_at: datetime
    billable: bool = False
    slot: Slot | None = None
    data_day: date | None = None
    """With a slot: the civil day whose rates it counts in."""


@dataclass(frozen=True, slots=True)
class Missing:
    """A slot that was due and has no value, and why. `plan` empty: asked on demand, kept out of the rates."""

    slot: Slot
    data_day: date
    reason: str
    owner: Owner
    detail: str = ""
    attempts: int = 0
    since: datetime | None = None
    expires: datetime | None = None
    """When the meter will have overwritten it, where that is known."""


@dataclass(frozen=True, slots=True)
class RawFrame:
    """Bytes as they came, kept beside what was made of them. `origin`: channel, or topic for a push."""

    received_at: datetime
    origin: str
    meter: str
    protocol: str
    data: bytes


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that no profile can read; acknowledged all the same, so that it does not stop the others."""

    received_at: datetime
    origin: str
    reason: str
    detail: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Batch:
    """What is committed together: one batch, one transaction, one receipt."""

    attempts: tuple[Attempt, ...] = ()
    readings: tuple[Reading, ...] = ()
    done: tuple[Done, ...] = ()
    missing: tuple[Missing, ...] = ()
    frames: tuple[RawFrame, ...] = ()
    clock_checks: tuple[ClockCheck, ...] = ()
    statuses: tuple[StatusWords, ...] = ()
    events: tuple[MeterEvent, ...] = ()
    event_counts: tuple[EventCount, ...] = ()
    dead_letters: tuple[DeadLetter, ...] = ()
    late: frozenset[Slot] = frozenset()
    """Of the slots filled here: those whose value came after the cut-off of their plan, so not in the first round."""
    numbered: tuple[Numbered, ...] = ()
    """Of the messages in it: those that their senders gave a number."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The ledger's word that a batch is on disk. Who must acknowledge, acknowledges after this."""

    stored: int
    duplicates: int
    conflicts: int
    slots_filled: int
    progress: tuple[Progress, ...] = ()
    """Of the senders whose messages were numbered."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """A second, different value for a key that already has one; both are kept, both are suspect."""

    meter: str
    quantity: str
    basis: Basis
    time: datetime
    value: int
    """The one that was there."""
    other: int
    other_source: Source
    received_at: datetime


# --- judging ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that spoke, with the evidence a clerk can show the customer. Codes and parameters, no words."""

    rule: str
    meter: str
    quantity: str
    basis: Basis
    time: datetime
    evidence: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Revision:
    """A verdict, estimate or edit beside a reading; n counts from 1 (0 is the raw value). `value` None = the raw one."""

    point: str
    meter: str
    quantity: str
    basis: Basis
    time: datetime
    n: int
    quality: Quality
    made_at: datetime
    value: int | None = None
    findings: tuple[Finding, ...] = ()
    ruleset: str = ""
    maker: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """A reading as it stands: the raw record with its latest revision (n = 0 and quality raw while there is none)."""

    reading: Reading
    point: str
    quality: Quality
    revision: int
    value: int


@dataclass(frozen=True, slots=True)
class Series:
    """Consecutive values of one meter, quantity and basis, oldest first, for rules: parallel columns.

    `context` values come before the first to be judged (the last good one), so that a rule can look back.
    """

    registered: Registered
    quantity: str
    basis: Basis
    times: tuple[datetime, ...]
    values: tuple[int, ...]
    resolutions: tuple[int, ...]
    conflicted: tuple[bool, ...]
    revisions: tuple[int, ...]
    """Number of the latest revision of each, 0 where there is none: a verdict must follow it."""
    judge_from: int
    """Index of the first value that waits for a verdict; those before it are released values."""


# --- handing over -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """One line of a delivery, before it has a sequence number (`seq` 0) or with it. Texts are what billing reads."""

    seq: int
    type: str
    account: str
    point: str
    meter: str
    quantity: str
    time: datetime
    basis: Basis
    value: str
    unit: str
    multiplier: str
    quality: Quality
    source: Source
    revision: int
    replaces: int | None = None
    old_value: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Undelivered:
    """A released value that billing has not got in this form, with the installation it belongs to."""

    judged: Judged
    registered: Registered
    replaces: DeliveryRow | None = None
    """The last row that billing got for it: then this one is its correction."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One numbered hand-over. `written` False: promised in the ledger, its files not yet known to be on disk."""

    batch_seq: int
    from_seq: int
    to_seq: int
    rows: int
    sha256: str
    prev_sha256: str
    manifest_sha256: str
    control_totals: Mapping[str, str]
    data_file: str
    created_at: datetime
    written: bool = False


# --- counting ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DayCount:
    """Slots of one data day with the same dimensions. `reason` empty: collected; else missing for that reason."""

    day: date
    plan: str
    channel: str
    terminal: str
    area: str
    station: str
    class_: str
    profile: str
    reason: str
    slots: int
    first_round: int = 0
    """Of the collected: those that the first round brought: never missing before, and before the cut-off of their plan."""
