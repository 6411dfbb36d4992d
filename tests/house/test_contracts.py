"""The import contracts of pyproject.toml, each seen red on a copy of the house with a violation planted in it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.sources import PACKAGES, ROOT, contract

# Modules that "pure-rooms" must name once they exist: a contract may not name what is not there.
PURE = ("collector.acquisition.plan", "storage.records", "storage.values")
IMPURE = ("collector.clock", "storage.engine", "storage.memory", "storage.tables")


def lint(house: Path, contract_id: str) -> tuple[int, str]:
    """Exit status and words of `lint-imports` for one contract of the house at this path."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--contract", contract_id]
    done = subprocess.run(command, cwd=house, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def house(tmp_path: Path) -> Path:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def plant(house: Path, module: str, line: str) -> None:
    """Add a line to a module; it and the packages above it are made where they are missing."""
    *above, name = module.split(".")
    folder = house
    for part in above:
        folder /= part
        folder.mkdir(exist_ok=True)
        (folder / "__init__.py").touch()
    with (folder / f"{name}.py").open("a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")


@pytest.mark.parametrize(
    ("contract_id", "plants", "says"),
    [
        ("floors", {"storage.planted": "import collector"}, "storage.planted -> collector"),
        ("floors", {"storage.planted": "import protocols"}, "storage.planted -> protocols"),
        ("floors", {"collector.vee.planted": "import simulators"}, "collector.vee.planted -> simulators"),
        ("rooms", {"collector.vee.planted": "import collector.billing.planted", "collector.billing.planted": ""}, "->"),
        ("rooms", {"collector.vee.planted": "import collector.jobs.planted", "collector.jobs.planted": ""}, "->"),
        ("rooms", {"collector.misc": ""}, "misc"),
        ("sans-io", {"protocols.planted": "import asyncio"}, "protocols.planted -> asyncio"),
        ("sans-io", {"protocols.planted": "from time import monotonic"}, "protocols.planted -> time"),
        ("pure-rooms", {"collector.vee.planted": "import time"}, "collector.vee.planted -> time"),
        (
            "pure-rooms",
            {"collector.kpi.planted": "import storage.ledger.planted", "storage.ledger.planted": ""},
            "collector.kpi.planted -> storage.ledger.planted",
        ),
        (
            "pure-rooms",  # not through a friend either
            {"collector.billing.planted": "import storage.planted", "storage.planted": "import sqlalchemy"},
            "storage.planted -> sqlalchemy",
        ),
        (
            "one-judgement",
            {"storage.ledger.slots": "from storage import tables"},
            "storage.ledger.slots -> storage.tables",
        ),
        (
            "one-judgement",  # not through a friend either
            {
                "storage.ledger.deciding": "from storage.ledger import planted",
                "storage.ledger.planted": "import sqlalchemy",
            },
            "storage.ledger.planted -> sqlalchemy",
        ),
        ("doors", {"collector.vee.planted": "import pymodbus"}, "collector.vee.planted -> pymodbus"),
        ("doors", {"simulators.planted": "from rich import print"}, "simulators.planted -> rich"),
        ("simulators-apart", {"simulators.planted": "import storage"}, "simulators.planted -> storage"),
        (
            "acyclic",
            {"protocols.planted": "import protocols.seed", "protocols.seed": "import protocols.planted"},
            "protocols",
        ),
    ],
)
def test_contract_is_red(house: Path, contract_id: str, plants: dict[str, str], says: str) -> None:
    for module, line in plants.items():
        plant(house, module, line)
    status, words = lint(house, contract_id)
    assert status == 1, words
    assert "BROKEN" in words
    assert says.replace(" ", "") in words.replace(" ", "").replace("\n", "")


def test_stale_door_is_red(house: Path) -> None:
    file = house / "pyproject.toml"
    before, doors, after = file.read_text("utf-8").partition('id = "doors"')
    after = after.replace("ignore_imports = [", 'ignore_imports = [ "storage -> click", ', 1)
    file.write_text(before + doors + after, "utf-8")
    status, words = lint(house, "doors")
    assert status == 1, words
    assert "storage -> click" in words


def unnamed(there: set[str], named: set[str]) -> set[str]:
    """Modules that have come and that the contract does not name, neither in full nor by `**`."""
    return {module for module in there if not {module, f"{module}.**"} & named}


def test_pure_rooms_names_all_that_is_there() -> None:
    def there(modules: tuple[str, ...]) -> set[str]:
        places = {module: ROOT.joinpath(*module.split(".")) for module in modules}
        return {module for module, path in places.items() if path.with_suffix(".py").exists() or path.exists()}

    pure = contract("pure-rooms")
    assert not unnamed(there(PURE), set(pure["source_modules"])), "add to source_modules of pure-rooms"
    assert not unnamed(there(IMPURE), set(pure["forbidden_modules"])), "add to forbidden_modules of pure-rooms"


def test_unnamed_is_red() -> None:
    assert unnamed({"storage.records", "storage.values"}, {"storage.values", "collector.vee.**"}) == {"storage.records"}
