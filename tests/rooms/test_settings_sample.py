"""The sample configuration is the reference: complete, loadable, and any single slip in it is found and named."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from collector.errors import SettingsError
from collector.settings.findings import keys_of, table_in
from collector.settings.loading import settings_in
from collector.settings.registry_csv import COLUMNS
from collector.settings.samples import SAMPLES, sample
from collector.settings.schema import Settings

TEXT = sample("collector.toml")
KEY = re.compile(r"(?:# )?(\w+) = ")
LINES = TEXT.splitlines()
KEY_LINES = [number for number, line in enumerate(LINES) if re.match(r"\w+ = ", line)]


def uncommented(text: str) -> str:
    """Every key that stands behind "# " as if it were meant; `at` and `every` exclude each other, so one plan gets a name."""
    return "\n".join(line[2:] if re.match(r"# (\w+ = |\[)", line) else line for line in text.splitlines())


def schema_keys(model: type[BaseModel], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every key that a configuration may have."""
    for key, field in keys_of(model).items():
        inner = table_in(field.annotation)
        yield (*above, key)
        if inner:
            yield from schema_keys(inner, (*above, key))


def file_keys(table: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every key that this configuration has."""
    if isinstance(table, list):
        for one in table:
            yield from file_keys(one, above)
    elif isinstance(table, dict):
        for key, value in table.items():
            yield (*above, key)
            yield from file_keys(value, (*above, key))


def missing_from(text: str) -> set[tuple[str, ...]]:
    """Keys of the schema that stand nowhere in this text, commented or not."""
    return set(schema_keys(Settings)) - set(file_keys(tomllib.loads(uncommented(text))))


def test_the_sample_is_complete() -> None:
    assert missing_from(TEXT) == set()


def test_that_guard_is_red() -> None:
    assert missing_from(TEXT.replace("# gap", "# gag")) == {("channel", "gap")}


def test_the_sample_loads() -> None:
    found = settings_in(TEXT, "collector.toml", Path())
    assert {channel.name for channel in found.channels} == {"village-1", "substation", "broker"}
    assert [plan.name for plan in found.plans] == ["daily", "quarter-hours"]


def test_the_sample_with_all_that_is_commented_loads_too(tmp_path: Path) -> None:
    (tmp_path / "profiles.d").mkdir()
    (tmp_path / "broker.password").write_text("secret\n", "utf-8")
    found = settings_in(uncommented(TEXT), "collector.toml", tmp_path)
    assert found.channel("dial-in").identity == b"4712"


def test_defaults_in_the_sample_are_the_defaults(tmp_path: Path) -> None:
    """What a comment calls the default must be it."""
    plain = settings_in(TEXT, "collector.toml", Path()).channel("village-1")
    shown = settings_in(
        re.sub(r"# (timeout|retries|worst_reply|echo) ", r"\1 ", TEXT), "collector.toml", Path()
    ).channel("village-1")
    assert (plain.timeout, plain.retries, plain.quarantine, plain.echo) == (
        shown.timeout,
        shown.retries,
        shown.quarantine,
        shown.echo,
    )


def test_the_registry_sample_shows_every_column() -> None:
    assert tuple(sample(SAMPLES["meters.csv"]).splitlines()[0].split(",")) == COLUMNS


def mistakes(text: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        settings_in(text, "collector.toml", Path())
    return caught.value.problems


def places(problems: list[str]) -> list[tuple[int, str]]:
    """Line and key of each problem; each must have both."""
    found = [re.match(r"collector\.toml:(\d+): ([\w.-]+): ", problem) for problem in problems]
    assert all(found), problems
    return [(int(match[1]), match[2]) for match in found if match]


@pytest.mark.parametrize("number", KEY_LINES, ids=lambda number: f"{number + 1}:{LINES[number].split(' = ')[0]}")
def test_any_misspelt_key_is_named_with_its_line(number: int) -> None:
    key = LINES[number].split(" = ")[0]
    text = "\n".join([*LINES[:number], LINES[number].replace(key, f"{key}x", 1), *LINES[number + 1 :]])
    problems = mistakes(text)
    assert (number + 1, f"{key}x") in [(line, name.rpartition(".")[2]) for line, name in places(problems)]
    assert any(f'unknown key "{key}x"; did you mean "{key}"?' in problem for problem in problems)


NEEDED_KEYS = ("url", "file", "name", "link", "protocol", "topics", "read", "directory")
NEEDED = [number for number in KEY_LINES if LINES[number].startswith(tuple(f"{key} = " for key in NEEDED_KEYS))]
NEEDED.remove(next(number for number in NEEDED if LINES[number].startswith("read = 99")))  # a target, not a plan


@pytest.mark.parametrize("number", NEEDED, ids=lambda number: f"{number + 1}:{LINES[number].split(' = ')[0]}")
def test_any_needed_key_that_is_left_out_is_named(number: int) -> None:
    key = LINES[number].split(" = ")[0]
    problems = mistakes("\n".join([*LINES[:number], *LINES[number + 1 :]]))
    assert any(name.rpartition(".")[2] == key for _, name in places(problems)), problems


@pytest.mark.parametrize("number", KEY_LINES, ids=lambda number: f"{number + 1}:{LINES[number].split(' = ')[0]}")
@pytest.mark.parametrize(
    "value", ["-1", "1e400", "[[]]", '""', '"\\u0000"', "{}", "1979-05-27", "999999999999", "true"]
)
def test_any_value_of_the_wrong_kind_is_named_with_its_line(number: int, value: str) -> None:
    key = LINES[number].split(" = ")[0]
    problems = mistakes("\n".join([*LINES[:number], f"{key} = {value}", *LINES[number + 1 :]]))
    assert number + 1 in [line for line, _ in places(problems)], problems


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_any_slip_of_the_hand_loads_or_is_said(data: st.DataObject) -> None:
    """A piece cut out, doubled or replaced anywhere: never a traceback, and each complaint names the file."""
    start = data.draw(st.integers(0, len(TEXT)))
    end = data.draw(st.integers(start, min(len(TEXT), start + 40)))
    piece = data.draw(st.one_of(st.just(""), st.just(TEXT[start:end] * 2), st.text(max_size=8)))
    said: list[str] = []
    try:
        settings_in(TEXT[:start] + piece + TEXT[end:], "collector.toml", Path())
    except SettingsError as error:
        said = error.problems
    assert all(line.startswith("collector.toml:") for line in said)
