"""What git keeps names no machine's folders and no package index: a clone must work wherever it lies."""

import re
import shutil
from collections.abc import Iterator

import pytest

from tests.house.sources import ROOT, tracked_files

# Written so that this file does not find itself.
TRACES = {
    "a path of one machine": re.compile(r"(?<![\w.$}~*/-])/(?:work|root|home/\w+|Users/\w+)/\w"),
    "a package index": re.compile(
        r"\b(?:pypi\.(?:org|python\.org)|python[h]osted\.org|registry\.npm[j]s\.org|(?:deb|security)\.[d]ebian\.org)\b"
    ),
    "an index option": re.compile(r"--(?:extra-)?[i]ndex-url[ =]\S*:"),
}


def traces(text: str) -> Iterator[str]:
    """Each line that names a machine's folder or an index."""
    for number, line in enumerate(text.splitlines(), 1):
        yield from (
            f"{number}: {what}: {found[0]}" for what, pattern in TRACES.items() if (found := pattern.search(line))
        )


@pytest.mark.skipif(not shutil.which("git") or not (ROOT / ".git").exists(), reason="not a clone")
def test_no_traces_of_a_machine() -> None:
    found: list[str] = []
    for path in tracked_files():
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:  # a picture
            continue
        found += [f"{path.relative_to(ROOT)}:{trace}" for trace in traces(text)]
    assert not found


@pytest.mark.parametrize(
    "text",
    [
        "cd " + "/work" + "/main",
        "PATH=" + "/home" + "/anna/bin",
        "see https://pypi" + ".org/project/x",
        "--index" + "-url https://x",
    ],
)
def test_guard_is_red(text: str) -> None:
    assert list(traces(text))


def test_guard_is_green() -> None:
    assert not list(traces("../shared/vectors and $HOME/work/x and docs/root/cause and /opt/chaobiao/bin"))
