"""The driver's errors in our words."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import DBAPIError, IntegrityError

from storage.errors import DatabaseBusy, DatabaseUnusable

SCANT = 64 * 1024
"""Bytes: with less than twice the 32 KiB of SQLite's shared index (-shm) on the disk, want of space is what failed."""


def is_busy(error: DBAPIError) -> bool:
    """Does another connection hold the database?"""
    return "database is locked" in str(error.orig)


@contextmanager
def translated(place: str) -> Iterator[None]:
    """Errors of the driver leave as ours, naming the database. A broken constraint is our own mistake and stays as it is.

    :raises DatabaseBusy: another process held it for too long.
    :raises DatabaseUnusable: anything else: no space, no permission, a damaged file.
    """
    try:
        yield
    except IntegrityError:
        raise
    except DBAPIError as error:
        if is_busy(error):
            raise DatabaseBusy(f"{place}: another process has held the database for too long") from error
        raise DatabaseUnusable(f"{place}: {_no_space(place) or error.orig}") from error


def _no_space(place: str) -> str:
    """SQLite calls it "disk I/O error" when there is no room for what it keeps beside the file."""
    try:
        disk = os.statvfs(Path(place).parent)
    except OSError:
        return ""
    return "the disk is full" if disk.f_bavail * disk.f_frsize < SCANT else ""
