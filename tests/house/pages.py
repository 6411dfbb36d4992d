"""The pages that people read, taken apart: fences, command lines, links, headings, tables."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.house.sources import ROOT

_FENCE = re.compile(r"^```(\w*)$")
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_BETWEEN = re.compile(r"\s(?:\||\|\||&&|;|>|>>|2>|2>&1)\s|\s&$")
SHELLS = ("sh", "console")
"""`sh`: every line is typed. `console`: lines that begin with `$ ` are typed, the others are what came back."""


@dataclass(frozen=True)
class Page:
    """One page; `name` as messages call it."""

    name: str
    text: str
    path: Path


@dataclass(frozen=True)
class Fence:
    """A fenced block: its language, the number of its first line, its lines."""

    language: str
    line: int
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Typed:
    """One simple command that a reader is told to type."""

    at: str
    words: tuple[str, ...]
    whole: bool = True
    """False in running text, where `chaobiao read -c …` may leave out what does not matter there."""


def pages() -> list[Page]:
    """README in both languages, the pages beside it, and docs/."""
    paths = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
    return [Page(path.relative_to(ROOT).as_posix(), path.read_text("utf-8"), path) for path in paths]


def page(name: str) -> Page:
    """One of them."""
    return next(one for one in pages() if one.name == name)


def fences(text: str) -> Iterator[Fence]:
    """The fenced blocks of a page."""
    language, first, held = None, 0, list[str]()
    for number, line in enumerate(text.splitlines(), 1):
        found = _FENCE.match(line)
        if language is None and found:
            language, first, held = found[1], number + 1, []
        elif language is not None and found:
            yield Fence(language, first, tuple(held))
            language = None
        elif language is not None:
            held.append(line)


def prose(text: str) -> str:
    """The page without its fenced blocks."""
    outside, kept = True, []
    for line in text.splitlines():
        if _FENCE.match(line):
            outside = not outside
        elif outside:
            kept.append(line)
    return "\n".join(kept)


def typed_lines(text: str) -> Iterator[tuple[int, str]]:
    """What is to be typed, by line; a line that ends in a backslash goes on in the next."""
    for fence in fences(text):
        if fence.language not in SHELLS:
            continue
        whole, begun = "", 0
        for number, line in enumerate(fence.lines, fence.line):
            if fence.language == "console" and not whole and not line.startswith("$ "):
                continue
            begun = begun or number
            whole += line.removeprefix("$ ").removesuffix("\\")
            if not line.endswith("\\"):
                if whole.strip():
                    yield begun, whole.strip()
                whole, begun = "", 0


def typed(one: Page) -> Iterator[Typed]:
    """Every simple command of a page: of fenced blocks, and `chaobiao …` in running text."""
    for number, line in typed_lines(one.text):
        for part in _BETWEEN.split(line):
            if words := tuple(shlex.split(part, comments=True)):
                yield Typed(f"{one.name}:{number}", words)
    outside = set(prose(one.text).splitlines())
    for number, line in enumerate(one.text.splitlines(), 1):
        if line not in outside:
            continue
        for span in re.findall(r"`(chaobiao [^`]*)`", line):
            yield Typed(f"{one.name}:{number}", tuple(shlex.split(span)), whole=False)


def links(text: str) -> Iterator[str]:
    """Targets of links and pictures that are not elsewhere in the world."""
    return (target for target in _LINK.findall(prose(text)) if "://" not in target and not target.startswith("mailto:"))


def anchors(text: str) -> set[str]:
    """The names under which headings can be linked to, as the usual hosts make them."""
    titles = re.findall(r"^#{1,6} +(.+?) *$", prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def sections(text: str) -> dict[str, str]:
    """Second-level headings and what stands under each."""
    parts = re.split(r"^## +(.+?) *$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def rows(text: str) -> Iterator[list[str]]:
    """The cells of each row of each table, without the heading."""
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("|") and not all(re.fullmatch(r":?-+:?", cell) for cell in cells):
            yield cells
