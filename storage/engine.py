"""Opening, creating and upgrading ledgers by URL. Nothing else opens a database.

A file is looked at before SQLite gets to see it: what is none of ours is never written to. A new one is built aside and
appears whole, or not at all.
"""

from __future__ import annotations

import asyncio
import errno
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import (
    URL,
    Connection,
    NullPool,
    column,
    create_engine,
    event,
    func,
    inspect,
    make_url,
    select,
    table,
)
from sqlalchemy.exc import ArgumentError

from storage import tables
from storage.errors import DatabaseUnusable
from storage.ledger.port import Ledger
from storage.ledger.sessions import Sessions, prepare
from storage.ledger.sql import SqlLedger
from storage.ledger.translation import translated
from storage.memory import MemoryLedger

_FILE = "sqlite:///"
_MAGIC = b"SQLite format 3\0"
_APPLICATION_ID = slice(68, 72)  # of the header, https://www.sqlite.org/fileformat.html#application_id
_version = table("alembic_version", column("version_num"))


@dataclass(frozen=True, slots=True)
class Status:
    """What a database is. `revision` is its schema's, `head` this version's; they are equal if it may be used."""

    path: str
    revision: str
    head: str
    size: int
    """Bytes, with the log that SQLite keeps beside it."""
    counts: Mapping[str, int]
    """Rows by table."""


async def open_ledger(url: str, *, create: bool, hold: bool = False) -> Ledger:
    """`sqlite:///relative.db`, `sqlite:////absolute.db` or `memory://`. `create`: make it where there is none. `hold`: for a
    process that opens much else (`Sessions.hold`).

    :raises DatabaseUnusable: naming the path and what to do. The file is as it was before.
    """
    if url == "memory://":
        return MemoryLedger()
    path = path_of(url)
    await asyncio.to_thread(_make_ready, path, create=create)
    sessions = Sessions(str(path))
    if hold:
        try:
            await sessions.hold()
        except BaseException:
            await sessions.close()
            raise
    return SqlLedger(sessions)


def upgrade(url: str) -> Status:
    """Bring a database to this version's schema; make it where there is none. Blocks: not for an event loop's thread.

    :raises DatabaseUnusable: as `open_ledger`.
    """
    path = path_of(url)
    if not path.exists():
        _create(path)
    elif _revision(path) != tables.REVISION:
        _refuse_newer(path, _revision(path))
        with _connection(path) as connection:
            _run_steps(connection)
    return status(url)


def status(url: str) -> Status:
    """Look at a database of any of our schemas. Blocks.

    :raises DatabaseUnusable: if it is none.
    """
    path = path_of(url)
    revision = _revision(path)
    with _connection(path) as connection:
        there = set(inspect(connection).get_table_names())
        counts = {
            one.name: int(connection.scalar(select(func.count()).select_from(one)) or 0)
            for one in tables.metadata.sorted_tables
            if one.name in there
        }
    files = (path, path.with_name(f"{path.name}-wal"))
    return Status(
        str(path), revision, tables.REVISION, sum(file.stat().st_size for file in files if file.exists()), counts
    )


def path_of(url: str) -> Path:
    """The file that a URL names: what follows `sqlite:///`, letter by letter, so that `%` and `#` are what they are.

    :raises DatabaseUnusable: for what is no SQLite URL; a password in it is not repeated.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise DatabaseUnusable("the storage URL is none; write sqlite:///chaobiao.db") from None
    shown = parsed.render_as_string(hide_password=True)
    if parsed.get_backend_name() in ("postgresql", "postgres"):
        raise DatabaseUnusable(f"{shown}: PostgreSQL comes with a later version; use sqlite:///chaobiao.db for now")
    if parsed.drivername != "sqlite" or parsed.query or parsed.host:
        raise DatabaseUnusable(f"{shown} is no storage URL that is known; write sqlite:///chaobiao.db")
    if not parsed.database or parsed.database == ":memory:":
        raise DatabaseUnusable(f"{shown} names no file; write sqlite:///chaobiao.db, or memory:// to keep nothing")
    return Path(url.removeprefix(_FILE))


# --- looking ----------------------------------------------------------------------------------------------------------


def _make_ready(path: Path, *, create: bool) -> None:
    if create and not path.exists():
        _create(path)
    revision = _revision(path)
    if revision != tables.REVISION:
        _refuse_newer(path, revision)
        raise DatabaseUnusable(f"{path} is of an older version (schema {revision}); run 'chaobiao db upgrade'")


def _revision(path: Path) -> str:
    """Of the schema, once it is clear that the file is one of ours."""
    _refuse_foreign(path)
    with _connection(path) as connection:
        found = connection.scalar(select(_version.c.version_num))
    if found is None:
        raise DatabaseUnusable(f"{path} is damaged: it does not say which schema it has")
    return str(found)


def _refuse_foreign(path: Path) -> None:
    try:
        if path.is_dir():
            raise DatabaseUnusable(f"{path} is a folder, not a database file")
        with path.open("rb") as file:
            header = file.read(100)
    except FileNotFoundError:
        raise DatabaseUnusable(f"{path} does not exist; 'chaobiao db upgrade' makes it") from None
    except OSError as error:
        raise DatabaseUnusable(f"{path} cannot be read: {error.strerror}") from error
    if not header:
        raise DatabaseUnusable(f"{path} is empty, no database; remove it, then 'chaobiao db upgrade' makes one")
    if not header.startswith(_MAGIC):
        raise DatabaseUnusable(f"{path} is no database; name another file, 'chaobiao db upgrade' makes it")
    if header[_APPLICATION_ID] != tables.APPLICATION_ID.to_bytes(4, "big"):
        raise DatabaseUnusable(f"{path} is the database of another program; name another file")
    for place in (path, path.parent):
        if not os.access(place, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
            raise DatabaseUnusable(f"{path} cannot be used: no permission to write to {place}")


def _refuse_newer(path: Path, revision: str) -> None:
    from storage.migrations import runner

    if revision not in runner.steps():
        raise DatabaseUnusable(
            f"{path} was written by a newer version (schema {revision}); install that, or a newer one"
        )


# --- making -----------------------------------------------------------------------------------------------------------


def _create(path: Path) -> None:
    """Built beside its place and linked there in one go: a crash leaves no half database, a race only one."""
    try:
        with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as folder:
            new = Path(folder) / path.name
            with _connection(new, mode="rwc", place=path) as connection:
                _run_steps(connection)
                _settle(connection, path)
            _put_in_place(new, path)
    except FileExistsError:
        return  # somebody else was quicker
    except FileNotFoundError:
        raise DatabaseUnusable(f"{path} cannot be made: there is no folder {path.parent}") from None
    except OSError as error:
        raise DatabaseUnusable(f"{path} cannot be made: {error.strerror}") from error


def _settle(connection: Connection, path: Path) -> None:
    """Bring all that is in SQLite's log into the file itself, which alone gets a place.

    Closing would do so too, but says nothing if the disk is full: half a database was left (seen).
    """
    _, logged, moved = connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)").one()
    if logged != moved:
        raise DatabaseUnusable(f"{path} cannot be made: another program looks at it already")


def _put_in_place(new: Path, path: Path) -> None:
    """Never over what is there; on file systems without links only nearly so."""
    try:
        os.link(new, path)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP) or path.exists():
            raise
        new.rename(path)
    number = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _run_steps(connection: Connection) -> None:
    from storage.migrations import runner  # Alembic takes a while to load and is seldom needed

    connection.exec_driver_sql("BEGIN IMMEDIATE")
    runner.upgrade(connection)
    connection.exec_driver_sql("COMMIT")


@contextmanager
def _connection(path: Path, *, mode: str = "rw", place: Path | None = None) -> Iterator[Connection]:
    """`ro` would leave SQLite's log behind, owned by whoever looked; `rw` tidies up and makes no file.

    `place`: what errors name, if not the file itself.
    """
    url = URL.create("sqlite", database=f"file:{quote(str(path))}", query={"mode": mode, "uri": "true"})
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    event.listen(engine, "connect", prepare)
    with translated(str(place or path)), engine.connect() as connection:
        yield connection
