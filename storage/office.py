"""One collector a database: who collects holds this office, and the next one is told who has it.

A lock of the operating system on a file beside the database: it ends with the process, however that ends, so nothing is
ever left to clean up. What may run beside a collector (`validate`, `read`, deliveries) does not ask for it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from storage.engine import path_of
from storage.errors import DatabaseUnusable, OfficeTaken

COLLECT = "collect"


@contextmanager
def office(url: str, role: str = COLLECT) -> Iterator[None]:
    """Hold an office of the database inside the block.

    :raises OfficeTaken: another process has it; its number is named where it is known.
    :raises DatabaseUnusable: the folder of the database cannot be written.
    """
    if url == "memory://":
        yield
        return
    database = path_of(url)
    lock = database.with_name(f"{database.name}.{role}")
    descriptor = _open(lock)
    try:
        if not _locked(descriptor):
            number = _holder(descriptor)
            who = f"process {number}" if number else "another process"
            raise OfficeTaken(f"{database}: {who} collects into this database already; stop that one first")
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
        yield
    finally:
        os.close(descriptor)


def is_held(url: str, role: str = COLLECT) -> bool:
    """Is somebody in office? It may be over a moment later.

    Who looks shares the lock for an instant, and never has it alone: that cannot be taken for a holder.
    """
    if url == "memory://":
        return False
    database = path_of(url)
    try:
        descriptor = os.open(database.with_name(f"{database.name}.{role}"), os.O_RDWR | os.O_CLOEXEC)
    except OSError:  # it was never held, or is not for us to see
        return False
    try:
        return not _tried(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    """Have the lock alone, unless somebody has it alone already; who only looks is gone in an instant."""
    while not _tried(descriptor, fcntl.LOCK_EX):
        if not _tried(descriptor, fcntl.LOCK_SH):
            return False
    return True


def _tried(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(descriptor: int) -> str:
    return os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()


def _open(lock: Path) -> int:
    try:
        return os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise DatabaseUnusable(f"{lock}: {error.strerror}") from error
