"""Commands over a real database: registry in, readings out, verdicts, deliveries, reports."""

import csv
import hashlib
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from collector.settings.registry_csv import COLUMNS
from storage.records import Batch
from tests.flow.commands import READING_KEYS, run, start
from tests.flow.stocked import METERS, MIDNIGHT, freeze, place, stock


def lines(*args: object, status: int = 0) -> list[dict[str, Any]]:
    """JSON lines of a command."""
    done = run(*args)
    assert done.exit_code == status, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration whose ledger holds a good value and a conflict."""
    file = place(tmp_path)
    stock(
        file,
        [
            Batch(readings=(freeze("M1", 1_234_560_000), freeze("M2", 5_000_000))),
            Batch(readings=(freeze("M2", 6_000_000),)),
        ],
    )
    return file


def test_import_makes_the_database_and_the_same_file_again_is_nothing_new(tmp_path: Path) -> None:
    config = place(tmp_path)
    csv_file = tmp_path / "meters.csv"
    assert run("meters", "import", "-c", config, csv_file).stdout == f"{csv_file}: 2 added, 0 changed, 0 unchanged\n"
    assert run("meters", "import", "-c", config, csv_file).stdout == f"{csv_file}: nothing new\n"
    csv_file.write_text(METERS.replace("161", "171"), "utf-8")
    assert run("meters", "import", "-c", config, csv_file).stdout == f"{csv_file}: 0 added, 1 changed, 1 unchanged\n"


def test_import_is_all_or_nothing(tmp_path: Path) -> None:
    config = place(tmp_path, METERS + ",,,M3,dlt645_2007_1p,village-1,000000000162,,,,\n,,,M4,none,village-1,164,,,,\n")
    done = run("meters", "import", "-c", config, tmp_path / "meters.csv")
    assert done.exit_code == 2
    assert done.stderr.splitlines()[1:] == [
        f"{tmp_path}/meters.csv:4: meter M3: address: the address 000000000162 on channel village-1 is in line 3 already",
        *[line for line in done.stderr.splitlines() if 'M4: profile: "none" is no profile' in line],
    ]
    assert not (tmp_path / "chaobiao.db").exists()


def test_a_point_of_ones_own_stays_when_the_file_is_imported_again(config: Path) -> None:
    points = {one["meter"]: one["point"] for one in lines("meters", "list", "-c", config, "--json")}
    assert points == {"M1": "P1", "M2": "@M2"}
    config.with_name("meters.csv").write_text(METERS.replace(",,,M2", ",0002,,M2"), "utf-8")
    assert run("meters", "import", "-c", config, config.with_name("meters.csv")).exit_code == 0
    again = {one["meter"]: (one["point"], one["account"]) for one in lines("meters", "list", "-c", config, "--json")}
    assert again["M2"] == ("@M2", "0002")


def test_list_gives_back_what_was_imported(config: Path) -> None:
    first, _ = lines("meters", "list", "-c", config, "--json")
    assert tuple(first) == COLUMNS
    (written, _) = csv.DictReader(METERS.splitlines())
    assert {key: first[key] for key, cell in written.items() if cell} == {
        key: cell for key, cell in written.items() if cell
    }
    assert [one["meter"] for one in lines("meters", "list", "-c", config, "--json", "--area", "台区7")] == ["M1"]
    assert lines("meters", "list", "-c", config, "--json", "--channel", "none") == []
    table = run("meters", "list", "-c", config, language="zh").stdout
    assert "通信地址" in table
    assert "000000000161" in table


def test_export_has_exactly_the_keys_of_the_design(config: Path) -> None:
    first, second = lines("readings", "export", "-c", config, "--json")
    assert list(first) == READING_KEYS
    assert (first["meter"], first["point"], first["quantity"], first["basis"]) == ("M1", "P1", "1-0:1.8.0", "freeze")
    assert (first["value"], first["unit"], first["kind"]) == ("1234.56", "kWh", "register")
    assert (first["time"], first["received_at"]) == ("2026-03-14T16:00:00Z", "2026-03-14T16:05:01Z")
    assert (first["quality"], first["source"], first["revision"]) == ("raw", "poll", 0)
    assert (second["value"], second["quality"]) == ("5.00", "suspect"), "of a conflict the first stays, suspect"


def test_export_as_csv(config: Path) -> None:
    done = run("readings", "export", "-c", config)
    first, second = csv.DictReader(done.stdout.splitlines())
    assert list(first) == READING_KEYS
    assert (first["value"], second["point"]) == ("1234.56", "@M2")
    assert done.stderr == "2 readings\n"


def test_a_reader_that_goes_away_in_the_middle_of_an_export(tmp_path: Path) -> None:
    config = place(tmp_path)
    stock(config, [Batch(readings=tuple(freeze("M1", day, at=MIDNIGHT - timedelta(days=day)) for day in range(150)))])
    process = start("readings", "export", "-c", config, "--json")
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    with process, process.stderr:
        assert process.stderr.read() == ""
    assert process.returncode == 141


@pytest.mark.parametrize(
    ("filters", "meters"),
    [
        (("--meter", "M2"), ["M2"]),
        (("--meter", "M1", "--meter", "M2"), ["M1", "M2"]),
        (("--quantity", "1-0:2.8.0"), []),
        (("--basis", "instant"), []),
        (("--from", "2026-03-15", "--to", "2026-03-16"), ["M1", "M2"]),
        (("--to", "2026-03-15"), []),
        (("--from", "2026-03-14T16:00:01Z"), []),
        (("--from", "2026-03-15T00:00:00", "--meter", "M1"), ["M1"]),
    ],
)  # fmt: skip
def test_export_takes_what_is_asked_for(config: Path, filters: tuple[str, ...], meters: list[str]) -> None:
    assert [one["meter"] for one in lines("readings", "export", "-c", config, "--json", *filters)] == meters


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--format", "parquet"), "parquet is not built into this version; there are csv and jsonl"),
        (("--format", "xlsx"), '"xlsx" is no format'),
        (("--quantity", "1.8.0"), "--quantity: '1.8.0' is no OBIS code"),
        (("--from", "yesterday"), '--from: "yesterday" is no time'),
    ],
)
def test_export_refuses_what_it_cannot(config: Path, options: tuple[str, ...], says: str) -> None:
    done = run("readings", "export", "-c", config, *options)
    assert (done.exit_code, done.stdout) == (2, "")
    assert says in done.stderr


def test_verdicts_deliveries_and_reports(config: Path) -> None:
    assert run("validate", "-c", config).stdout.startswith("2 readings judged: 1 verified, 1 suspect\n  conflict")
    assert lines("validate", "-c", config, "--json") == [{"judged": 0, "verified": 0, "suspect": 0, "by_rule": {}}]
    (handed,) = lines("billing", "deliver", "-c", config, "--json")
    assert (handed["batch_seq"], handed["rows"], handed["written"]) == (1, 1, True)
    data = config.with_name("deliveries") / handed["data_file"]
    assert hashlib.sha256(data.read_bytes()).hexdigest() == handed["sha256"]
    again = run("billing", "deliver", "-c", config)
    assert (again.exit_code, again.stdout) == (0, "nothing new to hand over\n")
    (listed,) = lines("billing", "list", "-c", config, "--json")
    assert listed == handed
    (row,) = lines("billing", "show", "-c", config, "1", "--json")
    assert row == json.loads(data.read_text("utf-8"))
    assert (row["meter"], row["value"], row["quality"]) == ("M1", "1234.56", "verified")
    assert "1234.56" in run("billing", "show", "-c", config, "1").stdout
    none = run("billing", "show", "-c", config, "2")
    assert (none.exit_code, none.stderr) == (2, "there is no delivery 2; the last one is 1\n")
    (conflict,) = lines("report", "conflicts", "-c", config, "--json")
    assert (conflict["meter"], conflict["point"], conflict["value"], conflict["other"]) == ("M2", "@M2", "5", "6")
    assert (
        run("report", "conflicts", "-c", config, "--format", "csv")
        .stdout.splitlines()[1]
        .startswith("M2,@M2,1-0:1.8.0,freeze")
    )


def test_billing_without_a_directory_says_what_is_missing(config: Path) -> None:
    config.write_text(config.read_text("utf-8").partition("[billing]")[0], "utf-8")
    done = run("billing", "deliver", "-c", config)
    assert done.exit_code == 2
    assert done.stderr.startswith(f"{config}:1: billing: is missing")


def test_reports_take_data_days(config: Path) -> None:
    for what in ("success", "missing"):
        done = run("report", what, "-c", config, "--from", "2026-03-15", "--to", "2026-03-14")
        assert (done.exit_code, done.stderr) == (2, "--from 2026-03-15 is after --to 2026-03-14\n")
        assert run("report", what, "-c", config, "--from", "yesterday").exit_code == 2
        assert run("report", what, "-c", config, "--json").exit_code == 0


def test_db_upgrade_makes_a_database_and_status_says_what_is_in_it(tmp_path: Path) -> None:
    config = place(tmp_path)
    database = tmp_path / "chaobiao.db"
    assert run("db", "upgrade", "-c", config).stdout.startswith(f"{database}: schema ")
    before = database.read_bytes()
    assert run("db", "upgrade", "-c", config).exit_code == 0
    assert database.read_bytes() == before
    (found,) = lines("db", "status", "-c", config, "--json")
    assert found["path"] == str(database)
    assert found["schema"] == found["newest"]
    assert found["rows"]["reading"] == 0
    assert "reading" in run("db", "status", "-c", config).stdout


def test_a_meter_that_nobody_knows_is_wrong_usage(config: Path) -> None:
    done = run("readings", "export", "-c", config, "--meter", "M11")
    assert done.exit_code == 2
    assert done.stderr.startswith("the registry knows no meter 'M11'")
    assert done.stdout == ""


def test_filters_that_let_nothing_through_say_so(config: Path) -> None:
    done = run("meters", "list", "-c", config, "--area", "nowhere")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "no meter matches\n")


def test_a_day_that_is_none(config: Path) -> None:
    done = run("report", "missing", "-c", config, "--from", "2026-13-01")
    assert done.exit_code == 2
    assert '"2026-13-01" is no day; write it as 2026-03-15' in done.stderr
