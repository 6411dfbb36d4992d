"""Each package's errors have one root, and the tree that its `errors.py` draws at the head is the real one."""

import ast
import re

import pytest

from tests.house.sources import PACKAGES, ROOT, module_name, python_files

Tree = dict[str, str]
"""Error → the one that it is a kind of."""

_DRAWN = re.compile(r"^(?P<stem>[ │]*(?:[├└]── )?)(?P<name>[A-Z]\w*)(?=\s|$)")
_BUILT_IN = (
    "Exception",
    "ValueError",
    "RuntimeError",
    "OSError",
    "LookupError",
    "KeyError",
    "TypeError",
    "ArithmeticError",
)


def drawn(docstring: str) -> Tree:
    """The tree in a docstring. The root stands where the first branch hangs from."""
    lines = docstring.splitlines()
    first = next(place for place, line in enumerate(lines) if "── " in line)
    tree: Tree = {}
    above: list[tuple[int, str]] = []
    for line in lines[first - 1 :]:
        found = _DRAWN.match(line)
        if found is None:
            break
        column = len(found["stem"])
        above = [(place, name) for place, name in above if place < column]
        tree[found["name"]] = above[-1][1] if above else "Exception"
        above.append((column, found["name"]))
    return tree


def built(source: str, known: Tree) -> Tree:
    """Classes of a module that are errors: of a kind that is built in, or that is known."""
    tree: Tree = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef):
            bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
            if kind := next((base for base in bases if base in _BUILT_IN or base in known or base in tree), None):
                tree[node.name] = kind
    return tree


@pytest.mark.parametrize("package", PACKAGES)
def test_drawn_is_real(package: str) -> None:
    source = (ROOT / package / "errors.py").read_text("utf-8")
    assert drawn(ast.get_docstring(ast.parse(source)) or "") == built(source, {})


@pytest.mark.parametrize("package", PACKAGES)
def test_errors_stand_in_one_file(package: str) -> None:
    known = built((ROOT / package / "errors.py").read_text("utf-8"), {})
    elsewhere = {
        f"{module_name(path)}.{name}"
        for path in python_files(package)
        if path != ROOT / package / "errors.py"
        for name in built(path.read_text("utf-8"), known)
        if not name.startswith("_")  # what no other file can name does not leave this one
    }
    assert not elsewhere, "one root and one tree a package"


def test_guard_is_red() -> None:
    picture = "What can fail.\n\nRoot      all\n├── A     one\n│   └── B two\n└── C     three\n\nMore words."
    assert drawn(picture) == {"Root": "Exception", "A": "Root", "B": "A", "C": "Root"}
    assert built("class Root(Exception): ...\nclass A(Root): ...", {}) == {"Root": "Exception", "A": "Root"}
    assert built("class Hidden(ValueError): ...\nclass Other(A): ...\nclass Plain: ...", {"A": "Root"}) == {
        "Hidden": "ValueError",
        "Other": "A",
    }
