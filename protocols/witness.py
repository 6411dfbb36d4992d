"""The port of protocols whose meters write down what happened to them. `dialects.WITNESSES` is the table of all.

Stamps are naive, in the meter's own zone. A kind is one of `KINDS`; what happens to one phase alone names it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from protocols.dialect import Exchange
from protocols.telegram import Request

POWER_DOWN = "power_down"
KINDS = (
    POWER_DOWN,
    "cover_opened",
    "terminals_opened",
    "magnetic_field",
    "phase_loss",
    "reversed",
    "relay_opened",
    "relay_closed",
)
"""What a meter can tell of."""
WITHOUT_END = ("relay_opened", "relay_closed")
"""Kinds that happen at an instant."""


@dataclass(frozen=True, slots=True, order=True)
class Sort:
    """What kind of thing, and on which phase (A, B, C; "" where it is the whole meter)."""

    kind: str
    phase: str = ""


@dataclass(frozen=True, slots=True)
class Happened:
    """One record. `end` None: it has not ended, or is of a kind that has no end."""

    sort: Sort
    start: datetime
    end: datetime | None = None


class Witness(Protocol):
    """One protocol's events and status words."""

    depth: int
    """Records of each sort that a meter keeps; older ones are gone."""

    def ask_status(self, address: str) -> tuple[tuple[Request, ...], ...]:
        """Ways to ask for the status words, the shortest first. :raises RequestError: for no address."""

    def status(self, exchanges: tuple[Exchange, ...]) -> tuple[int, ...] | None:
        """The words, in order; None where the answers are not what they should be."""

    def says(self, words: tuple[int, ...]) -> tuple[str, ...]:
        """What set bits mean, in English."""

    def ask_counts(self, address: str) -> tuple[Request, ...]:
        """How often what happened. A meter that lacks a kind refuses its question."""

    def counts(self, exchange: Exchange, phases: int) -> dict[Sort, int]:
        """What one of these answers says; {} where it makes no sense."""

    def ask_record(self, address: str, sort: Sort, back: int) -> Request:
        """The `back`-th last record of a sort, 1 = the latest."""

    def record(self, sort: Sort, exchange: Exchange) -> Happened | None:
        """What it says; None where it holds no time."""
