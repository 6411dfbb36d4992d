"""Concentrators that number what they send: what the ledger has of each, so that it may tell them what they may forget.

A sender counts its messages from 1, anew with each `boot`. Numbers say nothing of readings: two messages with one number
are two messages, and whether a reading is there already is asked of its own key alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

Gap = tuple[int, int]
"""Numbers from–to that have not come, both included."""


@dataclass(frozen=True, slots=True)
class Numbered:
    """One message that a sender gave a number. `oldest`: what it says is the lowest number of this boot that it still
    keeps; what is below and not here will never come.
    """

    channel: str
    sender: str
    boot: str
    seq: int
    received_at: datetime
    oldest: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one sender has got, in one of its lives. All up to `upto` is in the ledger, or was given up by the sender."""

    channel: str
    sender: str
    boot: str
    upto: int
    highest: int
    """That has come."""
    missing: tuple[Gap, ...]
    """Between the two, in order; what has not come, and a little more where there are very many gaps."""
    lost: int
    """Given up by the sender before they came."""
    heard_at: datetime
    """When the last message came."""
