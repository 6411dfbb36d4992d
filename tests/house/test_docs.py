"""The pages say what is so: command lines that exist, links that lead somewhere, symbols that are in the code, words that are all
explained, and both READMEs the same commands."""

import importlib
import re
from collections.abc import Iterable, Iterator
from enum import StrEnum
from gettext import translation
from pathlib import Path
from typing import cast

import click
import pytest

from collector.acquisition.outcome import OUTCOMES
from collector.cli.main import COMMANDS, shell
from collector.errors import SettingsError
from collector.jobs.report import NOT_TRIED, NOT_YET
from collector.settings.loading import settings_in
from protocols.catalogue import Kind
from storage.records import Basis, Owner, Quality, Source
from tests.house.pages import (
    Page,
    Typed,
    anchors,
    fences,
    links,
    page,
    pages,
    prose,
    rows,
    sections,
    typed,
    typed_lines,
)
from tests.house.sources import ROOT

GLOSSARY = "docs/glossary.md"
CODE = ("collector", "protocols", "storage", "simulators")


# --- command lines ------------------------------------------------------------------------------------------------------


def command_of(words: Iterable[str]) -> tuple[click.Command, click.Context, list[str]]:
    """The command that these words name, after its groups' own options. :raises click.UsageError: if there is none."""
    command: click.Command = shell
    context = click.Context(shell, info_name="chaobiao")
    rest = list(words)
    while isinstance(command, click.Group):
        _, rest, _ = command.make_parser(context).parse_args(args=rest)
        if not rest:
            return command, context, []
        name, found, rest = command.resolve_command(context, rest)
        assert found is not None
        command, context = found, click.Context(found, parent=context, info_name=name)
    return command, context, rest


def wrong_command(words: tuple[str, ...], *, whole: bool) -> str | None:
    """What the command line says of these words; None if it would begin to work."""
    try:
        command, context, rest = command_of(words)
        if not whole:
            known = {option for param in command.params for option in param.opts} | {"--help", "-h"}
            unknown = [word for word in rest if word.startswith("-") and len(word) > 1 and word not in known]
            return f"no such option: {unknown[0]}" if unknown else None
        if not isinstance(command, click.Group):
            command.make_context(context.info_name, rest, parent=context.parent)
    except click.exceptions.Exit:  # --help
        return None
    except click.UsageError as error:
        return error.format_message()
    return None


def wrong_make(words: tuple[str, ...], makefile: str) -> str | None:
    """What make would say."""
    verbs = re.findall(r"^([a-z]+):", makefile, re.MULTILINE)
    unknown = [word for word in words if "=" not in word and not word.startswith("-") and word not in verbs]
    return f"make knows no {unknown[0]}" if unknown else None


def complaints(commands: Iterable[Typed]) -> Iterator[str]:
    """Command lines that would not work, or would give a reader another file than the page says."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for one in commands:
        says = None
        match one.words[0].rpartition("/")[2]:
            case "chaobiao":
                says = wrong_command(one.words[1:], whole=one.whole)
            case "make":
                says = wrong_make(one.words[1:], makefile)
        if says:
            yield f"{one.at}: {' '.join(one.words)}: {says}"


@pytest.mark.parametrize("name", [one.name for one in pages()])
def test_command_lines_exist(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHAOBIAO_CONFIG", raising=False)
    assert list(complaints(typed(page(name)))) == []


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("chaobiao chek -c collector.toml", "No such command 'chek'"),
        ("chaobiao meters improt -c collector.toml m.csv", "No such command 'improt'"),
        ("chaobiao check --config-file x", "No such option '--config-file'"),
        ("chaobiao check", "Missing option '-c'"),
        ("chaobiao --language zh check -c x", "No such option '--language'"),
        ("cd x && .venv/bin/chaobiao decode --protocl dlt645 68", "No such option '--protocl'"),
        ("make tset", "make knows no tset"),
    ],
)
def test_guard_of_command_lines_is_red(line: str, says: str) -> None:
    found = list(complaints(typed(Page("x.md", f"```sh\n{line}\n```\n", Path("x.md")))))
    assert len(found) == 1
    assert says in found[0]


def test_running_text_may_leave_out_but_not_invent() -> None:
    text = "`chaobiao check` needs no more, `chaobiao probe … --profil FILE` is wrong"
    found = list(complaints(typed(Page("x.md", text, Path("x.md")))))
    assert found == ["x.md:1: chaobiao probe … --profil FILE: no such option: --profil"]


def test_guard_reads_all_ways_to_write_a_command() -> None:
    text = """
`chaobiao check -c a.toml` in a line
```console
$ chaobiao init there \\
    --nonsense
chaobiao says this, and nobody types it
```
```text
chaobiao neither
```
"""
    found = [one.words for one in typed(Page("x.md", text, Path("x.md")))]
    assert found == [("chaobiao", "init", "there", "--nonsense"), ("chaobiao", "check", "-c", "a.toml")]


def test_every_command_has_its_section() -> None:
    titles = sections(page("docs/commands.md").text)
    assert [name for name in COMMANDS if f"chaobiao {name}" not in titles] == []
    assert [title for title in titles if title.startswith("chaobiao ") and title.split()[1] not in COMMANDS] == []


def test_both_readmes_show_the_same_commands() -> None:
    english, chinese = (
        [re.sub(r"\s+#.*", "", line) for _, line in typed_lines(page(name).text)]
        for name in ("README.md", "README.zh.md")
    )
    assert english == chinese


def test_every_reason_is_explained_once() -> None:
    listed = [
        (row[0].strip("`"), row[2]) for _, text in sections(page("docs/reasons.md").text).items() for row in rows(text)
    ]
    told = {reason: owner for reason, owner in listed if not reason.startswith("exception_") and reason != "reason"}
    table = {reason: str(rule.owner) for reason, rule in OUTCOMES.items() if not reason.startswith("exception_")}
    assert told == table | {NOT_YET: "ours", NOT_TRIED: "ours"}
    reasons = [reason for reason, _ in listed if reason != "reason"]
    assert len(reasons) == len(set(reasons))


def test_pages_and_command_use_the_same_chinese_words() -> None:
    """Reasons and qualities, as `collector/locale` has them."""
    spoken = translation("chaobiao", ROOT / "collector" / "locale", languages=["zh"])
    pairs = [
        (row[0].strip("`"), row[1]) for text in sections(page("docs/reasons.md").text).values() for row in rows(text)
    ]
    pairs += [(row[1].strip("`"), row[0]) for row in rows(sections(page(GLOSSARY).text)["Quality"])]
    known = [(code, chinese, said) for code, chinese in pairs if (said := spoken.gettext(code)) != code]
    assert len(known) > len(Quality)
    assert [one for one in known if not one[1].startswith(one[2])] == []


def test_mistakes_are_told_as_the_page_says(tmp_path: Path) -> None:
    configuration, *_ = (fence for fence in fences(page("docs/configuration.md").text) if fence.language == "toml")
    told, *_ = (fence for fence in fences(page("docs/configuration.md").text) if fence.language == "text")
    with pytest.raises(SettingsError) as caught:
        settings_in("\n".join(configuration.lines), "collector.toml", tmp_path)
    assert told.lines == (f"{len(caught.value.problems)} mistakes:", *caught.value.problems)


def test_both_readmes_lead_to_every_page() -> None:
    every = {one.name for one in pages() if not one.name.startswith("README")}
    for name in ("README.md", "README.zh.md"):
        assert sorted(every - set(links(page(name).text))) == []


# --- links and names ------------------------------------------------------------------------------------------------------


def broken(one: Page) -> Iterator[str]:
    """Links that lead nowhere."""
    for target in links(one.text):
        file, _, anchor = target.partition("#")
        path = one.path.parent / file
        if not path.exists():
            yield f"{one.name}: there is no {target}"
        elif anchor and anchor not in anchors(path.read_text("utf-8") if file else one.text):
            yield f"{one.name}: {target}: no heading of that name"


@pytest.mark.parametrize("name", [one.name for one in pages()])
def test_links_lead_somewhere(name: str) -> None:
    assert list(broken(page(name))) == []


def test_guard_of_links_is_red() -> None:
    text = "[a](README.md) ![b](docs/pictures/none.svg) [c](README.md#nowhere) [d](https://example.org/x) [e](#here)\n\n# Here\n"
    found = list(broken(Page("x.md", text, ROOT / "x.md")))
    assert found == [
        "x.md: there is no docs/pictures/none.svg",
        "x.md: README.md#nowhere: no heading of that name",
    ]


def missing_paths(text: str) -> list[str]:
    """Files and folders of ours that a page names and that are not there."""
    spans = re.findall(r"`((?:collector|protocols|storage|simulators|tests|config|docs|deploy)/[\w./-]*)`", prose(text))
    return [span for span in spans if not (ROOT / span).exists()]


@pytest.mark.parametrize("name", [one.name for one in pages()])
def test_named_files_are_there(name: str) -> None:
    assert missing_paths(page(name).text) == []


def test_guard_of_named_files_is_red() -> None:
    assert missing_paths("`collector/vee/rules.py` and `collector/vee/rulez.py`, `docs/`") == ["collector/vee/rulez.py"]


def test_every_room_is_on_the_map() -> None:
    named = set(re.findall(r"`([a-z0-9_/]+/)`", page("ARCHITECTURE.md").text))
    rooms = {
        f"{path.parent.relative_to(ROOT).as_posix()}/" for code in CODE for path in (ROOT / code).rglob("__init__.py")
    }
    assert sorted(rooms - named - {f"{code}/" for code in CODE}) == []


# --- glossary -------------------------------------------------------------------------------------------------------------


def symbol(dotted: str) -> bool:
    """Whether the code has it: a module, something in one, a field of a record."""
    parts = dotted.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            fields = cast("dict[str, object]", getattr(found, "model_fields", {}))
            if part not in fields and not hasattr(found, part):
                return False
            found = fields.get(part) or getattr(found, part)
        return True
    return False


def test_glossary_names_symbols_of_the_code() -> None:
    text = page(GLOSSARY).text
    named = re.findall(rf"`((?:{'|'.join(CODE)})(?:\.\w+)+)`", text)
    assert named
    assert [one for one in named if not symbol(one)] == []


def test_every_row_of_the_glossary_is_whole() -> None:
    held = [
        row
        for title, text in sections(page(GLOSSARY).text).items()
        if not title.startswith("Words")
        for row in rows(text)
    ]
    assert [row for row in held if len(row) != 4 or not all(row)] == []


@pytest.mark.parametrize(
    ("title", "words"),
    [
        ("Basis", Basis),
        ("Quality", Quality),
        ("Source", Source),
        ("Owner of a fault", Owner),
        ("Kinds of quantity", Kind),
    ],
)
def test_glossary_explains_every_word(title: str, words: type[StrEnum]) -> None:
    assert unexplained(page(GLOSSARY).text, title, words) == []


def unexplained(text: str, title: str, words: type[StrEnum]) -> list[str]:
    """Words that have no row in their section."""
    explained = {
        span for row in rows(sections(text)[title]) if len(row) > 1 for span in re.findall(r"`([^`]+)`", row[1])
    }
    return [str(word) for word in words if str(word) not in explained]


def test_guards_of_the_glossary_are_red() -> None:
    assert not symbol("storage.records.Readings")
    assert not symbol("storage.registry.Point.acount")
    assert not symbol("collector.settings.schema.Site.zones")
    assert symbol("collector.settings.schema.Site.zone")
    text = page(GLOSSARY).text.replace("| `suspect` |", "| suspect |")
    assert unexplained(text, "Quality", Quality) == ["suspect"]
