"""Opening a database: one clear sentence for each that cannot be used, and the file is as it was."""

import errno
import os
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from tempfile import mkdtemp

import pytest
from sqlalchemy import Connection

from storage import engine, tables
from storage.engine import open_ledger, status, upgrade
from storage.errors import DatabaseUnusable
from storage.memory import MemoryLedger
from storage.migrations import runner
from tests.ledger.ledgers import read, reading, standing, template


def url(path: Path) -> str:
    return f"sqlite:///{path}"


async def use(path: Path, how: str) -> None:
    """One of the three ways to come to a database."""
    if how == "open":
        await (await open_ledger(url(path), create=True)).close()
    elif how == "upgrade":
        upgrade(url(path))
    else:
        status(url(path))


async def refused(path: Path, *says: str, ways: tuple[str, ...] = ("open", "upgrade", "status")) -> None:
    """Each way refuses, and says the same; nothing in the folder has changed."""
    before = snapshot(path.parent)
    for how in ways:
        with pytest.raises(DatabaseUnusable) as caught:
            await use(path, how)
        words = str(caught.value)
        assert all(word in words for word in (str(path), *says)), words
        assert "\n" not in words
    assert snapshot(path.parent) == before


def snapshot(folder: Path) -> dict[str, bytes]:
    """The files in a folder."""
    return {one.name: one.read_bytes() for one in folder.iterdir() if one.is_file()}


async def test_a_new_database_is_made_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "new ledger 抄表#50%20.db"
    ledger = await open_ledger(url(path), create=True)
    await read(ledger, reading(1, 1))
    await ledger.close()
    assert list(snapshot(tmp_path)) == [path.name]
    again = await open_ledger(url(path), create=False)
    assert len(await standing(again)) == 1
    await again.close()
    assert status(url(path)).counts["reading"] == 1


async def test_a_relative_path_counts_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    await (await open_ledger("sqlite:///here.db", create=True)).close()
    assert (tmp_path / "here.db").is_file()


async def test_memory_keeps_nothing() -> None:
    assert isinstance(await open_ledger("memory://", create=False), MemoryLedger)


async def test_a_database_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnusable, match=r"ledger\.db does not exist; 'chaobiao db upgrade' makes it"):
        await open_ledger(url(tmp_path / "ledger.db"), create=False)
    with pytest.raises(DatabaseUnusable, match="does not exist"):
        status(url(tmp_path / "ledger.db"))
    assert not snapshot(tmp_path)


async def test_no_folder_to_make_it_in(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnusable, match=r"cannot be made: there is no folder .*absent"):
        await open_ledger(url(tmp_path / "absent" / "ledger.db"), create=True)


async def test_a_folder(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").mkdir()
    await refused(tmp_path / "ledger.db", "is a folder, not a database file")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty, no database; remove it"),
        (b"point,account\n1,2\n", "is no database; name another file"),
        (b"SQLite format 2\0" + bytes(200), "is no database"),
        (b"SQLite format 3\0", "database of another program"),
    ],
)
async def test_a_file_that_is_no_database(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(content)
    await refused(path, says)


async def test_another_programs_database(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE alembic_version (version_num TEXT)")
        other.execute("INSERT INTO alembic_version VALUES ('0001')")
        other.commit()
    await refused(path, "is the database of another program; name another file")


def altered(path: Path, *statements: str) -> Path:
    shutil.copy(template(), path)
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    return path


async def test_a_newer_schema(tmp_path: Path) -> None:
    path = altered(tmp_path / "ledger.db", "UPDATE alembic_version SET version_num = '9999'")
    await refused(path, "was written by a newer version (schema 9999)", ways=("open", "upgrade"))
    assert (status(url(path)).revision, status(url(path)).head) == ("9999", tables.REVISION)


async def test_a_schema_that_says_nothing_of_itself(tmp_path: Path) -> None:
    await refused(altered(tmp_path / "ledger.db", "DELETE FROM alembic_version"), "damaged", "which schema")
    (tmp_path / "ledger.db").unlink()
    await refused(altered(tmp_path / "ledger.db", "DROP TABLE alembic_version"), "no such table: alembic_version")


async def test_an_older_schema_is_upgraded_when_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a step more in the program, today's database is the older one."""
    today, newer = tables.REVISION, f"{int(tables.REVISION) + 1:04d}"
    scripts = tmp_path / "migrations"
    shutil.copytree(runner.SCRIPTS, scripts, ignore=shutil.ignore_patterns("__pycache__"))
    step = f"""
import sqlalchemy as sa
from alembic import op
revision, down_revision = "{newer}", "{today}"
def upgrade():
    op.add_column("plan", sa.Column("colour", sa.Text()))
"""
    (scripts / "versions" / f"v{newer}_more.py").write_text(step)
    monkeypatch.setattr(runner, "SCRIPTS", scripts)
    monkeypatch.setattr(tables, "REVISION", newer)
    path = altered(tmp_path / "ledger.db", "INSERT INTO plan (name) VALUES ('kept')")
    before = path.read_bytes()
    with pytest.raises(
        DatabaseUnusable, match=rf"is of an older version \(schema {today}\); run 'chaobiao db upgrade'"
    ):
        await open_ledger(url(path), create=True)
    assert path.read_bytes() == before
    assert upgrade(url(path)).revision == newer
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name, colour FROM plan").fetchall() == [("kept", None)]
    (scripts / "versions" / f"v{newer}_more.py").write_text(step + "    raise RuntimeError('half way')\n")
    path = altered(tmp_path / "other.db")
    with pytest.raises(RuntimeError, match="half way"):
        upgrade(url(path))
    assert status(url(path)).revision == today
    with closing(sqlite3.connect(path)) as connection:
        assert [column[1] for column in connection.execute("PRAGMA table_info(plan)")] == ["id", "name"]


async def test_upgrading_makes_and_changes_nothing_twice(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    first = upgrade(url(path))
    before = path.read_bytes()
    assert upgrade(url(path)) == first == status(url(path))
    assert path.read_bytes() == before
    assert (first.revision, first.head, first.path, first.size) == (
        tables.REVISION,
        tables.REVISION,
        str(path),
        len(before),
    )
    assert first.counts["reading"] == 0
    ledger = await open_ledger(url(path), create=False)
    await read(ledger, reading(1, 1), reading(2, 2))
    assert status(url(path)).counts["reading"] == 2
    assert status(url(path)).size > len(before)
    await ledger.close()


async def test_two_make_it_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other one was quicker while we were building: theirs stays, ours goes."""
    path = tmp_path / "ledger.db"
    link = os.link

    def beaten(ours: Path, place: Path) -> None:
        altered(path, "INSERT INTO plan (name) VALUES ('theirs')")
        link(ours, place)

    monkeypatch.setattr("os.link", beaten)
    ledger = await open_ledger(url(path), create=True)
    await ledger.close()
    assert status(url(path)).counts["plan"] == 1
    assert list(snapshot(tmp_path)) == ["ledger.db"]


def test_a_database_that_cannot_be_made_whole_gets_no_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a full disk: what was written is in SQLite's log and cannot be moved into the file when it is closed."""
    steps = engine._run_steps
    with ExitStack() as readers:

        def looked_at(connection: Connection) -> None:
            (_, _, file) = connection.exec_driver_sql("PRAGMA database_list").one()
            connection.exec_driver_sql("CREATE TABLE before (a)")
            reader = readers.enter_context(closing(sqlite3.connect(file)))
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM before")
            steps(connection)

        monkeypatch.setattr(engine, "_run_steps", looked_at)
        with pytest.raises(DatabaseUnusable, match=re.escape(f"{tmp_path / 'a.db'} cannot be made: another")):
            upgrade(url(tmp_path / "a.db"))
    assert snapshot(tmp_path) == {}


def full(_place: object) -> os.statvfs_result:
    """Not a block left."""
    return os.statvfs_result((4096, 4096, 100, 0, 0, 100, 50, 50, 0, 255))


async def test_a_full_disk_is_called_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await (await open_ledger(url(tmp_path / "a.db"), create=True)).close()
    (tmp_path / "a.db-wal").mkdir()  # SQLite cannot write beside the file, and says no more than that
    with pytest.raises(DatabaseUnusable, match="unable to open database file"):
        status(url(tmp_path / "a.db"))
    monkeypatch.setattr(os, "statvfs", full)
    with pytest.raises(DatabaseUnusable, match=re.escape(f"{tmp_path / 'a.db'}: the disk is full")):
        status(url(tmp_path / "a.db"))


async def test_a_file_system_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(ours: Path, place: Path) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("os.link", refuse)
    assert upgrade(url(tmp_path / "ledger.db")).revision == tables.REVISION
    assert list(snapshot(tmp_path)) == ["ledger.db"]


@contextmanager
def powerless() -> Iterator[None]:
    """As a user who owns nothing (root may do everything, so permissions say nothing to it)."""
    if os.geteuid():
        yield
        return
    os.setresuid(65534, 65534, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may look into, unlike pytest's own."""
    folder = Path(mkdtemp())
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("mode", "folder_mode", "says"),
    [
        (0o000, 0o755, "ledger.db cannot be read: Permission denied"),
        (0o444, 0o755, "ledger.db cannot be used: no permission to write to "),
        (0o666, 0o555, "ledger.db cannot be used: no permission to write to "),
    ],
)
def test_no_permission(open_folder: Path, mode: int, folder_mode: int, says: str) -> None:
    path = open_folder / "ledger.db"
    shutil.copy(template(), path)
    path.chmod(mode)
    open_folder.chmod(folder_mode)
    with powerless(), pytest.raises(DatabaseUnusable, match=re.escape(says)):
        upgrade(url(path))


def test_no_permission_to_make_it(open_folder: Path) -> None:
    open_folder.chmod(0o555)
    with powerless(), pytest.raises(DatabaseUnusable, match=r"ledger\.db cannot be made: Permission denied"):
        upgrade(url(open_folder / "ledger.db"))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("postgresql://anna:secret@db/ledger", "postgresql://anna:.*@db/ledger: PostgreSQL comes with a later version"),
        ("postgresql+asyncpg://anna:secret@db/x", "PostgreSQL comes with a later version"),
        ("mysql://anna:secret@db/ledger", "is no storage URL that is known"),
        ("sqlite+pysqlite:///x.db", "is no storage URL that is known"),
        ("sqlite:///x.db?mode=ro", "is no storage URL that is known"),
        ("sqlite://x.db", "is no storage URL that is known"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("chaobiao.db", "storage URL is none; write sqlite:///chaobiao.db"),
        ("", "storage URL is none"),
    ],
)
async def test_urls_that_are_none_of_ours(wrong: str, says: str) -> None:
    attempts: list[Callable[[], object]] = [lambda: upgrade(wrong), lambda: status(wrong)]
    with pytest.raises(DatabaseUnusable, match=says) as caught:
        await open_ledger(wrong, create=True)
    assert "secret" not in str(caught.value)
    for attempt in attempts:
        with pytest.raises(DatabaseUnusable, match=says):
            attempt()
