"""Which verdicts may be added, and what they settle. Pure; both adapters use it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from storage.errors import VerdictRefused
from storage.records import Quality, Revision


def check_revision(revision: Revision, count: int, stored: Mapping[int, Revision]) -> bool:
    """True: it is the next after `count`. False: it is among the `stored` already (when it was made does not matter).

    :raises VerdictRefused: if its number leaves a gap, or is that of another one.
    """
    if revision.n == count + 1:
        return True
    same = stored.get(revision.n)
    if same is not None and replace(revision, made_at=same.made_at) == same:
        return False
    raise VerdictRefused(
        f"{revision.meter} {revision.quantity} {revision.basis} {revision.time.isoformat()}: revision {revision.n} "
        f"does not follow revision {count}"
    )


def never_read(revision: Revision) -> VerdictRefused:
    """The error for a verdict on nothing."""
    return VerdictRefused(
        f"{revision.meter} {revision.quantity} {revision.basis} {revision.time.isoformat()} was never read"
    )


def stays_open(quality: Quality, *, conflicted: bool) -> bool:
    """Does the value wait for a verdict still?

    No rule can verify a value that another one contradicts: such a verdict was reached before the conflict was known.
    """
    return conflicted and quality is Quality.VERIFIED
