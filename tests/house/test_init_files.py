"""An `__init__.py` is a docstring and nothing else: importing a package must never do anything."""

import ast

import pytest

from tests.house.sources import ROOT, python_files


def more_than_a_docstring(source: str) -> str | None:
    """What is wrong with this `__init__.py`, or None."""
    body = ast.parse(source).body
    if (
        len(body) == 1
        and isinstance(body[0], ast.Expr)
        and isinstance(body[0].value, ast.Constant)
        and body[0].value.value
    ):
        return None
    return "no docstring" if not body else "holds more than a docstring"


def test_init_files_hold_a_docstring_only() -> None:
    files = [path for path in python_files() if path.name == "__init__.py"]
    assert files
    wrong = {str(p.relative_to(ROOT)): w for p in files if (w := more_than_a_docstring(p.read_text("utf-8")))}
    assert not wrong


def test_tests_have_no_init_files() -> None:
    assert not list((ROOT / "tests").rglob("__init__.py"))


@pytest.mark.parametrize(
    ("source", "says"),
    [("", "no docstring"), ('"""Doc."""\nfrom os import path\n', "more than"), ("x = 1\n", "more than")],
)
def test_guard_is_red(source: str, says: str) -> None:
    assert says in (more_than_a_docstring(source) or "")
