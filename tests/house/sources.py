"""Where the house's files are, for the guards of this folder."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

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
