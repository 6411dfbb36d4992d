"""No file descriptors left: this computer's want, and never the fault of whatever could not be opened for it.

Said once when it begins and once when it is over, however many links meet it and however often they try. Pure: what was tried
comes in.
"""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Iterable

from storage.records import Attempt

TOO_MANY_FILES = "too_many_files"
NUMBERS = (errno.EMFILE, errno.ENFILE)
"""The process has as many as it may have; the whole computer has."""


def is_short(error: OSError) -> bool:
    """Is want of descriptors what failed? Of several addresses that all failed, asyncio leaves only the texts."""
    return error.errno in NUMBERS or any(f"[Errno {number}]" in str(error) for number in NUMBERS)


def none_left() -> bool:
    """Whether not one descriptor is to be had. For errors that do not say so: a resolver that cannot open its files says that
    there is no such host.
    """
    try:
        os.close(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        return is_short(error)
    return False


def words() -> str:
    """What is the matter, for a detail."""
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return f"too many open files: this process may have {most} at once"


class Shortage:
    """Which channels could not be opened for want of descriptors."""

    def __init__(self) -> None:
        self._short: set[str] = set()
        self._many = 0

    def met(self, attempts: Iterable[Attempt]) -> str | None:
        """What is to be said of these attempts: that it begins, that it is over; mostly nothing."""
        before = bool(self._short)
        for attempt in attempts:
            if attempt.outcome == TOO_MANY_FILES:
                self._short.add(attempt.channel)
            else:
                self._short.discard(attempt.channel)
        self._many = max(self._many, len(self._short))
        if bool(self._short) == before:
            return None
        if self._short:
            return (
                f"{words()}; channels that are open go on, others wait for a free one: raise LimitNOFILE of the service"
            )
        many, self._many = self._many, 0
        return f"there are enough open files again; {many} channels had waited for one"
