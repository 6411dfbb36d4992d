"""Words: every sentence that the code speaks has its Chinese, and the language is chosen as gettext does."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from collector import words
from collector.cli import borrowed
from tests.flow.commands import run
from tests.house.sources import ROOT

SPOKEN = {"say": None, "say_n": (1, 2), "mark": None, "mark_n": (1, 2)}
CATALOGUES = sorted(words.LOCALE.glob(f"*/LC_MESSAGES/{words.DOMAIN}.po"))
HOW = "how sentences get into the catalogue stands in collector/words.py"


def in_code(folder: Path = ROOT / "collector") -> set[str]:
    """Every sentence that is marked in the code; of those with a number, the singular."""
    found = extract_from_dir(folder, [("**.py", "python")], keywords=SPOKEN)
    return {message if isinstance(message, str) else message[0] for _, _, message, _, _ in found}


def complaints(spoken: set[str], catalogue: Catalog) -> Iterator[str]:
    """What is wrong with a catalogue."""
    entries = {(entry.id if isinstance(entry.id, str) else entry.id[0]): entry for entry in catalogue if entry.id}
    yield from (f"missing: {sentence}" for sentence in sorted(spoken - entries.keys()))
    yield from (f"spoken nowhere: {sentence}" for sentence in sorted(entries.keys() - spoken))
    for sentence, entry in entries.items():
        translations = [entry.string] if isinstance(entry.string, str) else list(entry.string or ())
        if entry.fuzzy or not translations or not all(translations):
            yield f"not translated: {sentence}"
        fields = {*re.findall(r"{\w*}", entry.id if isinstance(entry.id, str) else " ".join(entry.id))}
        yield from (f"other parts than: {sentence}" for one in translations if {*re.findall(r"{\w*}", one)} - fields)


@pytest.mark.parametrize("file", CATALOGUES, ids=lambda path: path.parts[-3])
def test_every_sentence_is_in_every_catalogue(file: Path) -> None:
    with file.open("rb") as opened:
        assert not list(complaints(in_code(), read_po(opened))), HOW


def test_there_is_chinese() -> None:
    assert [file.parts[-3] for file in CATALOGUES] == ["zh"]


def test_that_guard_is_red() -> None:
    catalogue = Catalog()
    catalogue.add("good", "好")
    catalogue.add("old", "旧")
    catalogue.add("empty", "")
    catalogue.add("fuzzy", "糊", flags=["fuzzy"])
    catalogue.add("{n} things", "{m}个")
    assert list(complaints({"good", "empty", "fuzzy", "{n} things", "new"}, catalogue)) == [
        "missing: new",
        "spoken nowhere: old",
        "not translated: empty",
        "not translated: fuzzy",
        "other parts than: {n} things",
    ]


@pytest.mark.parametrize(
    ("environment", "spoken"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh_CN"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "en_GB.UTF-8", "LANGUAGE": "zh"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LANGUAGE": "de:zh_CN"}, "zh_CN"),
        ({"LANGUAGE": "en:zh_CN"}, "en"),
        ({"LANG": "../../zh"}, "en"),
    ],
)  # fmt: skip
def test_the_language_is_chosen_as_gettext_does(environment: dict[str, str], spoken: str) -> None:
    try:
        assert words.choose(None, environment) == spoken
    finally:
        words.choose("en", {})


def test_help_and_failures_are_in_the_language_asked_for(tmp_path: Path) -> None:
    assert "检查配置" in run("--lang", "zh", "check", "--help").output
    assert "检查配置" in run("check", "--help", language="zh_CN").output
    assert "Check configuration" in run("check", "--help").output
    file = tmp_path / "collector.toml"
    file.write_text("a = 1\nb = 2\n", "utf-8")
    assert run("check", "-c", file, language="zh").stderr.startswith("4 处错误:\n")


def test_what_is_borrowed_is_what_click_says() -> None:
    parts = [
        Path(click.__file__).with_name(f"{name}.py")
        for name in ("core", "decorators", "exceptions", "formatting", "parser", "types")
    ]
    said = "".join(part.read_text("utf-8") for part in parts)
    sentences = [*borrowed.SENTENCES, *(sentence for pair in borrowed.COUNTED for sentence in pair)]
    assert [one for one in sentences if one.replace("\n", "\\n").replace("\t", "\\t") not in said] == []


@pytest.mark.parametrize(
    "args", [("--lang", "zh", "db", "status", "--help"), ("db", "status", "--lang", "zh", "--help")]
)
def test_click_speaks_the_same_language_wherever_it_was_chosen(args: tuple[str, ...]) -> None:
    run("db", "status", "--help")  # click remembers what it said first
    help_ = run(*args).output
    assert help_.startswith("用法： chaobiao db status")
    assert "显示本说明并退出。" in help_
    assert "错误：缺少选项 '-c'" in run(*args[:-1]).output
    assert run("db", "status", "--help").output.startswith("Usage: "), "and the next one is English again"
