"""docs/dependencies.md speaks of every dependency that is declared, with its licence, and of no other."""

import re
from collections.abc import Iterator

from tests.house.sources import ROOT, project

PAGE = ROOT / "docs" / "dependencies.md"


def _name(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found, requirement
    return found[0].lower()


def declared() -> set[str]:
    """Names of all that pyproject.toml and the test peers ask for."""
    file = project()
    groups = [one for group in file["dependency-groups"].values() for one in group if isinstance(one, str)]
    peers = [line for path in (ROOT / "tests" / "peers").glob("*.in") for line in path.read_text("utf-8").splitlines()]
    return {_name(one) for one in (*file["project"]["dependencies"], *groups, *filter(None, peers))}


def rows(page: str) -> Iterator[tuple[str, list[str]]]:
    """Each table row that begins with a name in backticks: the name, the cells after it."""
    for line in page.splitlines():
        if found := re.match(r"\| `([^`]+)` \|(.*)\|$", line):
            yield found[1].lower(), [cell.strip() for cell in found[2].split("|")]


def complaints(page: str, wanted: set[str]) -> list[str]:
    """What the page lacks, or says too much of."""
    said = dict(rows(page))
    return [
        *(f"{name} has no row" for name in sorted(wanted - said.keys())),
        *(f"{name} is not declared" for name in sorted(said.keys() - wanted)),
        *(f"{name} has an empty cell" for name, cells in said.items() if len(cells) != 3 or not all(cells)),
    ]


def test_page_and_project_agree() -> None:
    assert not complaints(PAGE.read_text("utf-8"), declared())


def test_guard_is_red() -> None:
    page = "| `click` | commands | argparse | BSD |\n| `rich` | tables |  | MIT |\n"
    assert complaints(page, {"click", "rich", "alembic"}) == ["alembic has no row", "rich has an empty cell"]
    assert complaints(page, {"click"}) == ["rich is not declared", "rich has an empty cell"]
