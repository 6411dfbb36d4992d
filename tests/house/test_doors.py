"""Every library that product code imports is listed in the contract "doors", which names the files it may enter by."""

import ast
import sys

import pytest

from tests.house.sources import PACKAGES, ROOT, contract, imported, python_files


def without_a_door(source: str, listed: set[str]) -> set[str]:
    """Third-party libraries that this source imports and that no contract watches."""
    ours = {*PACKAGES, *sys.stdlib_module_names}
    return {f"{name} (line {line})" for name, line in imported(ast.parse(source)) if name not in ours | listed}


def test_every_library_has_a_door() -> None:
    listed = set(contract("doors")["forbidden_modules"])
    found = {str(p.relative_to(ROOT)): w for p in python_files() if (w := without_a_door(p.read_text("utf-8"), listed))}
    assert not found


def test_tests_and_benchmarks_stay_out_of_product_code() -> None:
    reached = {"tests", "benchmarks", "pytest", "hypothesis"}
    found = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in python_files()
        for name, line in imported(ast.parse(path.read_text("utf-8")))
        if name in reached
    ]
    assert not found


@pytest.mark.parametrize(
    "source", ["import requests", "def f():\n    from numpy import array", "import os, httpx.client"]
)
def test_guard_is_red(source: str) -> None:
    assert without_a_door(source, {"click"})


def test_guard_is_green() -> None:
    assert not without_a_door("import click, os\nfrom storage.values import x\nfrom click.testing import y", {"click"})
