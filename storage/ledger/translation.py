"""The driver's errors in our words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, IntegrityError

from storage.errors import DatabaseBusy, DatabaseUnusable


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
        raise DatabaseUnusable(f"{place}: {error.orig}") from error
