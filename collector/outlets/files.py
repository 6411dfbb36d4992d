"""Deliveries as files in a directory that billing watches.

Nothing half-written is ever visible there: a file is written beside the directory (`.NAME.tmp`, same file system), flushed to
the disk, and renamed into it; the data first, the manifest when the data is safe. Whoever sees a manifest, sees its data.
Writing a delivery again is no effect; a file of that name with other content is refused and left alone.

All of it blocks (it waits for the disk), so jobs call it from a thread. One process at a time: `try_hold` takes a lock that dies
with its holder, so a crash never leaves it behind.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO

from collector.errors import WorkFailed
from collector.outlets.batch import data_name, manifest_name
from storage.errors import DeliveryRefused

Step = Callable[[str], None]
"""Called with a name at each point where a crash may come; tests crash there."""


def unseen(name: str) -> None:
    """Nobody watches the steps."""


class DeliveryDirectory:
    """One directory of deliveries."""

    def __init__(self, path: Path, *, step: Step = unseen) -> None:
        self.path = path
        self._temporary = path.parent / f".{path.name}.tmp"
        self._step = step

    def try_hold(self) -> IO[bytes] | None:
        """Prepare the directory and hold it until the result is closed; None if another process holds it.

        :raises WorkFailed: if it cannot be made or written.
        """
        try:
            self._prepare()
            lock = (self._temporary / "lock").open("ab")
        except FileExistsError as error:
            raise WorkFailed(f"{error.filename} is a file, not a directory; deliveries cannot be written") from error
        except OSError as error:
            raise WorkFailed(
                f"{error.filename or self.path}: {error.strerror}; deliveries cannot be written"
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return None
        return lock

    def _prepare(self) -> None:
        for folder in (self.path, self._temporary):
            folder.mkdir(parents=True, exist_ok=True)
        if not os.access(self.path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self.path))
        if self.path.stat().st_dev != self._temporary.stat().st_dev:
            raise WorkFailed(
                f"{self.path} is the root of a file system, so nothing can be renamed into it; name a directory in it"
            )
        _flush_directory(self.path.parent)

    def refuse_taken(self, batch_seq: int) -> None:
        """Before a number is promised: its files must not be there.

        :raises DeliveryRefused: naming the file that is; a new ledger must not number over an old one's deliveries.
        """
        for path in self._files(batch_seq):
            if path.exists():
                raise DeliveryRefused(
                    f"{path} exists, but this ledger has not handed over delivery {batch_seq}; "
                    "the directory belongs to another ledger, or the ledger is an older copy"
                )

    def write(self, batch_seq: int, data: bytes, manifest: bytes) -> None:
        """Put both files there, or leave them if they are.

        :raises DeliveryRefused: a file of that name has other content.
        :raises WorkFailed: the disk is full, or does not do as it should.
        """
        data_path, manifest_path = self._files(batch_seq)
        try:
            self._put(data_path, data)
            self._put(manifest_path, manifest)
        except OSError as error:
            raise WorkFailed(f"{error.filename or self.path}: {error.strerror}; delivery {batch_seq} waits") from error

    def _files(self, batch_seq: int) -> tuple[Path, Path]:
        return self.path / data_name(batch_seq), self.path / manifest_name(batch_seq)

    def _put(self, path: Path, content: bytes) -> None:
        if path.exists():
            if path.read_bytes() != content:
                raise DeliveryRefused(f"{path} is not what the ledger handed over under this name; it is left as it is")
            _flush_directory(self.path)
            return
        temporary = self._temporary / path.name
        self._step(f"before {path.name}")
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            self._step(f"unflushed {path.name}")
            os.fsync(file.fileno())
        self._step(f"flushed {path.name}")
        temporary.rename(path)
        self._step(f"renamed {path.name}")
        _flush_directory(self.path)


def _flush_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
