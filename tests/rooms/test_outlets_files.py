"""Files in the directory that billing watches: whole or not there."""

import re
from pathlib import Path

import pytest

from collector.errors import WorkFailed
from collector.outlets.files import DeliveryDirectory
from storage.errors import DeliveryRefused

DATA, MANIFEST = b'{"seq":1}\n', b'{"format":1}\n'
BOTH = ["batch-00000001.jsonl", "batch-00000001.manifest.json"]


class Crash(Exception):
    """The process dies here."""


def seen(folder: Path) -> list[str]:
    """All that billing can see, hidden files too."""
    return sorted(path.name for path in folder.iterdir())


def write(directory: DeliveryDirectory) -> None:
    lock = directory.try_hold()
    assert lock is not None
    with lock:
        directory.write(1, DATA, MANIFEST)


def test_two_files_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "deliveries"
    write(DeliveryDirectory(folder))
    assert seen(folder) == BOTH
    assert (folder / BOTH[0]).read_bytes() == DATA
    assert (folder / BOTH[1]).read_bytes() == MANIFEST


def test_writing_again_changes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "deliveries"
    write(DeliveryDirectory(folder))
    before = [(path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.iterdir()]
    write(DeliveryDirectory(folder))
    assert [(path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.iterdir()] == before


def steps(tmp_path: Path) -> list[str]:
    passed: list[str] = []
    write(DeliveryDirectory(tmp_path / "deliveries", step=passed.append))
    return passed


def test_at_every_step_billing_sees_whole_files_data_first(tmp_path: Path) -> None:
    passed = steps(tmp_path)
    assert len(passed) == 8
    for number, crash_at in enumerate(passed):
        folder = tmp_path / str(number) / "deliveries"

        def crash(step: str, crash_at: str = crash_at) -> None:
            if step == crash_at:
                raise Crash

        with pytest.raises(Crash):
            write(DeliveryDirectory(folder, step=crash))
        there = seen(folder)
        assert there == BOTH[: len(there)]
        assert [(folder / name).read_bytes() for name in there] == [DATA, MANIFEST][: len(there)]
        write(DeliveryDirectory(folder))
        assert seen(folder) == BOTH
        assert [(folder / name).read_bytes() for name in BOTH] == [DATA, MANIFEST]


@pytest.mark.parametrize("name", BOTH)
def test_a_file_that_is_not_ours_is_left_alone(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "deliveries"
    folder.mkdir()
    (folder / name).write_bytes(b"somebody else's")
    with pytest.raises(DeliveryRefused, match=f"{re.escape(name)} is not what the ledger handed over"):
        write(DeliveryDirectory(folder))
    assert (folder / name).read_bytes() == b"somebody else's"


def test_a_number_is_not_promised_over_a_file_that_is_there(tmp_path: Path) -> None:
    directory = DeliveryDirectory(tmp_path / "deliveries")
    write(directory)
    directory.refuse_taken(2)
    with pytest.raises(DeliveryRefused, match=r"batch-00000001\.jsonl exists, but this ledger"):
        directory.refuse_taken(1)


def test_one_process_at_a_time(tmp_path: Path) -> None:
    directory, other = DeliveryDirectory(tmp_path / "d"), DeliveryDirectory(tmp_path / "d")
    lock = directory.try_hold()
    assert lock is not None
    assert other.try_hold() is None
    lock.close()
    again = other.try_hold()
    assert again is not None
    again.close()


def test_a_file_where_the_directory_should_be(tmp_path: Path) -> None:
    (tmp_path / "deliveries").write_text("")
    with pytest.raises(WorkFailed, match="deliveries is a file, not a directory"):
        DeliveryDirectory(tmp_path / "deliveries").try_hold()


def test_a_directory_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The superuser may write anywhere, so the answer of the operating system is played here.
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(WorkFailed, match="deliveries: Permission denied"):
        DeliveryDirectory(tmp_path / "deliveries").try_hold()


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "deliveries"
    directory = DeliveryDirectory(folder)
    lock = directory.try_hold()
    assert lock is not None

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with lock, pytest.raises(WorkFailed, match="No space left on device"):
        directory.write(1, DATA, MANIFEST)
    assert seen(folder) == []
