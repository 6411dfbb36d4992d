"""The registry file: exact records, or one line for each mistake with file, line, meter and column."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.errors import SettingsError
from collector.settings.registry_csv import COLUMNS
from collector.settings.registry_rows import Registry, read_registry
from storage.registry import Ratio
from tests.rooms.configurations import settings
from tests.rooms.profiles_for_settings import PROFILES

AT = datetime(2026, 3, 14, 1, 2, 3, tzinfo=UTC)
SHORT = "meter,profile,channel,address\n"


def read(folder: Path, text: str | bytes, points: dict[str, str] | None = None) -> Registry:
    """This text as registry file."""
    file = folder / "meters.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_registry(file, settings(), PROFILES, at=AT, points=points)


def mistakes(folder: Path, text: str | bytes) -> list[str]:
    """What is said of this file, from its name on."""
    with pytest.raises(SettingsError) as caught:
        read(folder, text)
    assert caught.value.exit_status == 2
    return [line.removeprefix(f"{folder}/") for line in caught.value.problems]


def test_every_column_of_the_design_becomes_an_exact_record(tmp_path: Path) -> None:
    row = {
        "point": "P1", "account": "0010001", "role": "generation", "area": "台区7", "feeder": "F1", "station": "S1",
        "section": "R1", "box": "B1", "phase": "A", "class": "farm", "tariff": "T1", "billing_group": "homes",
        "contract_kva": "8.5", "pv_kw": "6", "meter": "M1", "asset_no": "A1", "serial": "000123", "profile": "three_phase_dlt645",
        "channel": "village-1", "address": "000000000161", "terminal": "C1", "wiring": "3p4w", "un_v": "220", "imax_a": "60",
        "ct_ratio": "100/5", "pt_ratio": "20", "digits": "6", "installed": "2024-03-15", "start_readings":
        "1-0:1.8.0=12.5;1-0:2.8.0=0",
    }  # fmt: skip
    assert tuple(row) == COLUMNS
    (one,) = read(tmp_path, ",".join(row) + "\n" + ",".join(row.values()) + "\n").rows
    meter, point, installation = one.meter, one.point, one.installation
    assert (point.point, point.account, point.area, point.class_) == ("P1", "0010001", "台区7", "farm")
    assert (point.contract_kva, point.pv_kw) == (8_500_000, 6_000_000)
    assert (meter.serial, meter.address, meter.wiring) == ("000123", "000000000161", "3p4w")
    assert (meter.un_v, meter.imax_a, meter.digits) == (220_000_000, 60_000_000, 6)
    assert (installation.meter, installation.point) == ("M1", "P1")
    assert (installation.ct, installation.pt) == (Ratio(100, 5), Ratio(20, 1))
    assert installation.start == datetime(2024, 3, 14, 16, tzinfo=UTC), "midnight in Shanghai"
    assert installation.start_readings == {"1-0:1.8.0": 12_500_000, "1-0:2.8.0": 0}


def test_empty_cells_are_defaults(tmp_path: Path) -> None:
    (one,) = read(tmp_path, SHORT + "M1,three_phase_dlt645,village-1,161\n").rows
    assert (one.point.role, one.point.class_, one.point.billing_group) == ("sale", "household", "")
    assert (one.meter.un_v, one.meter.imax_a, one.meter.wiring) == (None, None, "")
    assert one.installation.start == AT, "installed from the import on"
    assert one.installation.ct == Ratio(1, 1)


def test_a_byte_order_mark_blank_lines_and_quotes_are_fine(tmp_path: Path) -> None:
    text = "\ufeff" + SHORT + "\n" + '"M1","three_phase_dlt645",village-1, 161 \r\n,,,\n'
    assert [row.meter.address for row in read(tmp_path, text).rows] == ["161"]


def test_the_digest_changes_with_the_file(tmp_path: Path) -> None:
    one, two = read(tmp_path, SHORT), read(tmp_path, SHORT + "\n")
    assert one.digest != two.digest
    assert one.digest == read(tmp_path, SHORT).digest


def test_a_row_without_point_gets_one_of_its_own(tmp_path: Path) -> None:
    text = SHORT + "M1,three_phase_dlt645,village-1,161\nM2,three_phase_dlt645,village-1,162\n"
    assert [row.point.point for row in read(tmp_path, text).rows] == ["@M1", "@M2"]


def test_a_point_of_ones_own_survives_re_import_and_exchange(tmp_path: Path) -> None:
    """M1 was exchanged for M9, which now stands at M1's place; M1 comes back somewhere else."""
    text = SHORT + "M9,three_phase_dlt645,village-1,169\n"
    assert [row.point.point for row in read(tmp_path, text, {"M9": "@M1"}).rows] == ["@M1"]
    text += "M1,three_phase_dlt645,village-1,161\n"
    assert [row.point.point for row in read(tmp_path, text, {"M9": "@M1"}).rows] == ["@M1", "@M1.2"]


def test_every_mistake_at_once(tmp_path: Path) -> None:
    text = "meter,profile,channel,address,colour,un_v\n" + (
        "M1,three_phase_dlt654,village-1,161,red,220\n"
        "M2,three_phase_dlt645,village-2,162,,x\n"
        "M1,three_phase_dlt645,village-1,163,,220\n"
        "M4,three_phase_dlt645,village-1,,,220\n"
    )
    assert mistakes(tmp_path, text) == [
        f'meters.csv:1: unknown column "colour"; columns are {",".join(COLUMNS)}',
        'meters.csv:2: meter M1: profile: "three_phase_dlt654" is no profile; did you mean "three_phase_dlt645"?; allowed: '
        "three_phase_modbus, single_phase_modbus, three_phase_dlt645, single_phase_json",
        'meters.csv:3: meter M2: channel: "village-2" is no channel of the configuration; did you mean "village-1"?; '
        "allowed: village-1, substation, broker",
        'meters.csv:3: meter M2: un_v: "x" is no number; write it as 12.5',
        "meters.csv:4: meter M1: meter: the meter M1 is in line 2 already",
        "meters.csv:5: meter M4: address: is empty",
    ]


@pytest.mark.parametrize(
    ("column", "cell", "says"),
    [
        ("meter", "M" * 65, "meter: has 65 characters; at most 64 are kept"),
        ("meter", "M\x07", "holds characters that cannot be printed"),
        ("point", "@M7", "point: \"@M7\": ids that begin with @ are given to rows without a point"),
        ("role", "sail", 'role: "sail" is no role; did you mean "sale"?; allowed: sale, generation, export, area_total, check'),
        ("class", "factory", 'class: "factory" is no class; allowed: household, business, farm, industry, street_light, public'),
        ("billing_group", "home", 'billing_group: "home" is no billing group of the configuration; did you mean "homes"?'),
        ("wiring", "3p5w", 'wiring: "3p5w" is no wiring'),
        ("un_v", "0", "un_v: 0 must be above zero"),
        ("un_v", "2e2", 'un_v: "2e2" is no number'),
        ("un_v", "２２０", 'un_v: "２２０" is no number'),
        ("un_v", "0.0000001", "un_v: 0.0000001 cannot be held exactly: at most six decimals"),
        ("imax_a", "5(60)", 'imax_a: "5(60)": write the maximum alone, 60'),
        ("imax_a", "99999999999999999999", "cannot be held exactly"),
        ("contract_kva", "-1", "contract_kva: -1 must not be below zero"),
        ("ct_ratio", "100/0", 'ct_ratio: "100/0" is no ratio; write it as 100/5 or 20'),
        ("ct_ratio", "100:5", 'ct_ratio: "100:5" is no ratio'),
        ("pt_ratio", "0", 'pt_ratio: "0" is no ratio'),
        ("digits", "6.2", 'digits: "6.2" is no count of digits'),
        ("digits", "0", 'digits: "0" is no count of digits'),
        ("installed", "2024/3/15", 'installed: "2024/3/15" is no date; write it as 2024-03-15'),
        ("installed", "2024-02-30", 'installed: "2024-02-30" is no date'),
        ("start_readings", "12.5", 'start_readings: "12.5" is no start reading; write it as 1-0:1.8.0=12.5'),
        ("start_readings", "1.8.0=1", "start_readings: '1.8.0' is no OBIS code"),
        ("start_readings", "1-0:32.7.0=230", "start_readings: 1-0:32.7.0 is no register"),
        ("start_readings", "1-0:1.8.0=1;1-0:1.8.0=2", "start_readings: 1-0:1.8.0 stands twice"),
        ("start_readings", "1-0:1.8.0=-1", "start_readings: -1 must not be below zero"),
    ],
)  # fmt: skip
def test_a_wrong_cell_names_file_line_meter_and_column(tmp_path: Path, column: str, cell: str, says: str) -> None:
    cells = {"meter": "M1", "profile": "three_phase_dlt645", "channel": "village-1", "address": "161", "asset_no": "1"}
    cells[column] = cell
    (said,) = mistakes(tmp_path, ",".join(cells) + "\n" + ",".join(cells.values()) + "\n")
    assert said.startswith(f"meters.csv:2: meter {cells['meter']}: {column}: ")
    assert says in said


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ("M1,three_phase_dlt645,village-1,161\nM2,three_phase_dlt645,village-1,000000000161\n",
         "meters.csv:3: meter M2: address: the address 000000000161 on channel village-1 is in line 2 already"),
        ("M1,three_phase_modbus,village-1,1\n",
         "meters.csv:2: meter M1: profile: three_phase_modbus is read by modbus, but channel village-1 speaks dlt645"),
        ("M1,three_phase_modbus,substation,300\n", "meters.csv:2: meter M1: address: "),
        ("M1,three_phase_dlt645,village-1,12345678901234\n", "meters.csv:2: meter M1: address: "),
        ("M1,single_phase_json,broker,a/b\n", 'meters.csv:2: meter M1: address: "a/b": it is one level of a topic, without /'),
        ("M1,three_phase_dlt645,village-1\n", "meters.csv:2: has 3 cells, but the header names 4 columns"),
        ("M1,three_phase_dlt645,village-1,161,x\n", "meters.csv:2: has 5 cells, but the header names 4 columns"),
        ('M1,"three_phase_dlt645,village-1,161\n', "meters.csv:2: not CSV: unexpected end of data"),
    ],
)  # fmt: skip
def test_a_wrong_row(tmp_path: Path, rows: str, says: str) -> None:
    assert says in "\n".join(mistakes(tmp_path, SHORT + rows))


def test_the_same_address_on_two_lines_is_fine(tmp_path: Path) -> None:
    rows = "M1,three_phase_dlt645,village-1,1\nM2,three_phase_modbus,substation,1\nM3,single_phase_json,broker,1\n"
    assert len(read(tmp_path, SHORT + rows).rows) == 3


def test_three_phases_do_not_fit_a_single_phase_meter(tmp_path: Path) -> None:
    text = "meter,profile,channel,address,wiring\nM1,single_phase_modbus,substation,1,3p4w\n"
    (said,) = mistakes(tmp_path, text)
    assert (
        said == "meters.csv:2: meter M1: wiring: 3p4w does not fit single_phase_modbus, which is a single-phase meter"
    )


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("meter,area\n1,台区\n".encode("gbk"),
         'meters.csv:2: is not UTF-8; it looks like GBK, as spreadsheets save CSV in Chinese: '
         'save it as "CSV UTF-8"'),
        (SHORT.encode("utf-16"), "meters.csv:1: is not UTF-8; it looks like UTF-16"),
        (b"", "meters.csv:1: is empty; its first line names the columns, at least meter,profile,channel,address"),
        (b"meter;profile;channel;address\n", "meters.csv:1: the columns are separated by semicolons; separate them by commas"),
        (b"meter,profile,chanel,address\n", 'meters.csv:1: unknown column "chanel"; did you mean "channel"?'),
        (b"meter,profile,address\n", 'meters.csv:1: the column "channel" is missing; needed are meter,profile,channel,address'),
        (b"meter,meter,profile,channel,address\n", 'meters.csv:1: the column "meter" stands 2 times'),
    ],
)  # fmt: skip
def test_a_file_that_is_no_registry(tmp_path: Path, data: bytes, says: str) -> None:
    assert says in "\n".join(mistakes(tmp_path, data))


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"meters\.csv: No such file"):
        read_registry(tmp_path / "meters.csv", settings(), PROFILES, at=AT)


def test_one_wrong_column_in_a_long_file_is_not_a_long_message(tmp_path: Path) -> None:
    rows = "".join(f"M{n},no_such_meter,village-1,{n}\n" for n in range(1, 301))
    said = mistakes(tmp_path, SHORT + rows)
    assert len(said) == 201
    assert said[-1].endswith("meters.csv: and 100 more")


@given(st.integers(0, 10**9), st.integers(0, 6))
def test_numbers_are_taken_exactly(tmp_path_factory: pytest.TempPathFactory, number: int, places: int) -> None:
    text = f"{Decimal(number).scaleb(-places):f}"
    rows = f"meter,profile,channel,address,pv_kw\nM1,three_phase_dlt645,village-1,1,{text}\n"
    (one,) = read(tmp_path_factory.mktemp("exact"), rows).rows
    assert one.point.pv_kw is not None
    assert Decimal(one.point.pv_kw).scaleb(-6) == Decimal(text)


@given(st.binary(max_size=200))
def test_any_bytes_give_rows_or_a_message(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    file = tmp_path_factory.mktemp("any") / "meters.csv"
    file.write_bytes(data)
    said = []
    try:
        read_registry(file, settings(), PROFILES, at=AT)
    except SettingsError as error:
        said = error.problems
    assert all(problem.startswith(f"{file}:") for problem in said)
