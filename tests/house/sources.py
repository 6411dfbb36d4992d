"""Where the house's files are, for the guards of this folder."""

import ast
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("collector", "protocols", "storage", "simulators")


def python_files(*below: str) -> list[Path]:
    """Product code, or only what lies at or below the named modules (`storage.records`, `collector.vee`)."""
    return sorted(path for module in below or PACKAGES for path in _files_of(module))


def _files_of(module: str) -> Iterator[Path]:
    path = ROOT.joinpath(*module.split("."))
    if path.with_suffix(".py").is_file():
        yield path.with_suffix(".py")
    yield from path.rglob("*.py")


def module_name(path: Path) -> str:
    """`collector/vee/rules.py` is `collector.vee.rules`."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def tracked_files() -> list[Path]:
    """Every file that git keeps and that is there."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return [path for name in names.split("\0") if name and (path := ROOT / name).is_file()]


def project() -> dict[str, Any]:
    """pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def contract(contract_id: str) -> dict[str, Any]:
    """One import contract, as pyproject.toml has it."""
    contracts = project()["tool"]["importlinter"]["contracts"]
    found: dict[str, Any] = next(c for c in contracts if c["id"] == contract_id)
    return found


def imported(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Top-level names of all that a module imports, with the line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name.partition(".")[0], node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0], node.lineno
