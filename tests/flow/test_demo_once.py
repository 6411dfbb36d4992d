"""`chaobiao demo --once`, the command of the README: it ends with 0 and prints what the README says it prints."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.flow.commands import start
from tests.links.broker import needs_mosquitto

README = Path(__file__).parents[2] / "README.md"


def summary_in_the_readme() -> str:
    (block,) = re.findall(r"```text\n(\d+ simulated meters.*?)```", README.read_text("utf-8"), flags=re.DOTALL)
    return str(block)


def without_hash(text: str) -> str:
    return re.sub(r"sha256 [0-9a-f]{64}", "sha256 …", text)


@needs_mosquitto
@pytest.mark.slow
def test_the_night_is_the_one_in_the_readme(tmp_path: Path) -> None:
    process = start("demo", "--once", "--keep", tmp_path / "night")
    out, err = process.communicate(timeout=170)  # three minutes, set-up included, is what a newcomer is promised
    assert process.returncode == 0, err
    # On a machine that is very busy an answer may need a second round: then it has another time, and the file another hash.
    assert without_hash(out) == without_hash(summary_in_the_readme())
    assert (tmp_path / "night" / "truth.jsonl").stat().st_size > 0
