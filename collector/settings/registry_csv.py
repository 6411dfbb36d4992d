"""The registry file as text: encoding, header, rows. What the cells mean is `registry_rows`' business.

UTF-8, with or without a byte order mark. Another encoding is refused, never guessed: a name that was guessed wrong goes
onto a bill.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from collector.errors import SettingsError
from collector.settings.spelling import did_you_mean

# fmt: off
COLUMNS = (
    "point", "account", "role", "area", "feeder", "station", "section", "box", "phase", "class", "tariff", "billing_group",
    "contract_kva", "pv_kw",
    "meter", "asset_no", "serial", "profile", "channel", "address", "terminal", "wiring",
    "un_v", "imax_a", "ct_ratio", "pt_ratio", "digits", "installed", "start_readings",
)
# fmt: on
REQUIRED = ("meter", "profile", "channel", "address")


@dataclass(frozen=True, slots=True)
class Line:
    """One row: the line it begins on, and its cells that are not empty, stripped, by column."""

    number: int
    cells: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sheet:
    """A registry file as text. `problems` are whole messages; rows that have one are left out."""

    name: str
    digest: str
    columns: tuple[str, ...]
    lines: tuple[Line, ...]
    problems: tuple[str, ...]


def read_sheet(path: Path, name: str | None = None) -> Sheet:
    """A registry file. :raises SettingsError: when it cannot be read as a table of text at all."""
    shown = name or str(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SettingsError([f"{shown}: {error.strerror}"]) from error
    rows = csv.reader(io.StringIO(_decode(data, shown), newline=""), strict=True)
    lines: list[Line] = []
    problems: list[str] = []
    columns: list[str] | None = None
    ended = 0
    try:
        for cells in rows:
            number, ended = ended + 1, rows.line_num
            stripped = [cell.strip() for cell in cells]
            if not any(stripped):
                continue
            if columns is None:
                columns = stripped
                problems += _header(stripped, f"{shown}:{number}")
                continue
            if len(stripped) < len(columns) or any(stripped[len(columns) :]):
                problems.append(
                    f"{shown}:{number}: has {len(cells)} cells, but the header names {len(columns)} columns"
                )
                continue
            known = zip(columns, stripped, strict=False)
            lines.append(Line(number, {column: cell for column, cell in known if cell and column in COLUMNS}))
    except csv.Error as error:
        problems.append(f"{shown}:{rows.line_num}: not CSV: {error}")
    if columns is None:
        problems.append(f"{shown}:1: is empty; its first line names the columns, at least {','.join(REQUIRED)}")
    return Sheet(shown, sha256(data).hexdigest(), tuple(columns or ()), tuple(lines), tuple(problems))


def _decode(data: bytes, shown: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
    guess = "; it looks like GBK, as spreadsheets save CSV in Chinese" if _is(data, "gb18030") else ""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        guess = "; it looks like UTF-16"
    raise SettingsError([f'{shown}:{line}: is not UTF-8{guess}: save it as "CSV UTF-8" and import it again'])


def _is(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _header(columns: list[str], at: str) -> Iterator[str]:
    if len(columns) == 1 and (";" in columns[0] or "\t" in columns[0]):
        separator = "semicolons" if ";" in columns[0] else "tabs"
        yield f"{at}: the columns are separated by {separator}; separate them by commas"
        return
    for column in dict.fromkeys(columns):
        if column not in COLUMNS:
            yield f'{at}: unknown column "{column}"{did_you_mean(column, COLUMNS)}; columns are {",".join(COLUMNS)}'
        elif columns.count(column) > 1:
            yield f'{at}: the column "{column}" stands {columns.count(column)} times'
    for column in REQUIRED:
        if column not in columns:
            yield f'{at}: the column "{column}" is missing; needed are {",".join(REQUIRED)}'
