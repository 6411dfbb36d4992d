"""A configuration and a registry for exactly the fleet that runs, so that any collector of ours can be pointed at it."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from io import StringIO
from pathlib import Path

from simulators.members import Member
from simulators.scenario import Line, Scenario

CONFIGURATION, REGISTRY = "collector.toml", "meters.csv"
# fmt: off
COLUMNS = (
    "point", "account", "role", "area", "feeder", "station", "section", "box", "phase", "class", "tariff", "billing_group",
    "meter", "asset_no", "serial", "profile", "channel", "address", "wiring", "un_v", "imax_a", "installed", "start_readings",
)
# fmt: on
"""Those of DESIGN §8 that a simulated meter has something to say about."""
ENERGY = "1-0:1.8.0"


def write_configuration(
    folder: Path, scenario: Scenario, members: Sequence[Member], urls: Mapping[str, str]
) -> tuple[Path, Path]:
    """Both files, written anew. `urls`: line → where it listens; a line without one is left out, its meters too."""
    folder.mkdir(parents=True, exist_ok=True)
    configuration, registry = folder / CONFIGURATION, folder / REGISTRY
    configuration.write_text(_toml(scenario, urls), encoding="utf-8")
    registry.write_text(_csv(one for one in members if one.line.name in urls), encoding="utf-8", newline="")
    return configuration, registry


def _toml(scenario: Scenario, urls: Mapping[str, str]) -> str:
    out = [
        f"# The simulated fleet {scenario.title!r}: its meters answer while it runs, on these very ports.",
        "format = 1",
        "",
        "[site]",
        f"zone = {_text(scenario.zone)}",
        "",
        "[storage]",
        'url = "sqlite:///chaobiao.db"',
        "",
        "[registry]",
        f"file = {_text(REGISTRY)}",
    ]
    for line in scenario.line:
        if line.name not in urls:
            continue
        out += ["", "[[channel]]", f"name = {_text(line.name)}", f"link = {_text(urls[line.name])}"]
        out.append(f"protocol = {_text(line.protocol)}")
        out += [f'{key} = "{_milliseconds(span)}ms"' for key, span in _patience(line) if span is not None]
        if line.retries is not None:
            out.append(f"retries = {line.retries}")
        if line.protocol == "mqtt-json":
            out.append('topics = ["meters/+/reading"]')
    out += [
        "",
        "[[plan]]",
        'name = "quarter"',
        f"read = [{_text(ENERGY)}]",
        'every = "15m"',
        "",
        "[[plan]]",
        'name = "daily"',
        f"read = [{_text(ENERGY)}]",
        'basis = "freeze"',
        'at = "00:05"',
        "",
        "[billing]",
        'directory = "deliveries"',
        "",
    ]
    return "\n".join(out)


def _patience(line: Line) -> tuple[tuple[str, timedelta | None], ...]:
    return ("timeout", line.timeout), ("worst_reply", line.worst_reply)


def _milliseconds(span: timedelta) -> int:
    return span // timedelta(milliseconds=1)


def _csv(members: Iterable[Member]) -> str:
    out = StringIO(newline="")
    rows = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    rows.writeheader()
    for one in members:
        entry = one.entry
        rows.writerow(
            {
                "point": entry.point or f"P-{entry.meter}",
                "account": entry.account,
                "role": entry.role,
                "area": entry.area,
                "feeder": entry.feeder,
                "station": entry.station,
                "section": entry.section,
                "box": entry.box,
                "phase": entry.phase,
                "class": entry.class_,
                "tariff": entry.tariff,
                "billing_group": entry.billing_group,
                "meter": entry.meter,
                "asset_no": entry.asset_no or f"CB{one.serial}",
                "serial": one.serial if one.profile.identity is not None else "",
                "profile": one.profile.id,
                "channel": one.line.name,
                "address": entry.address,
                "wiring": "3p4w" if one.profile.phases == 3 else "1p",
                "un_v": one.un_v,
                "imax_a": one.imax_a,
                "installed": one.meter.mounted.date().isoformat(),
                "start_readings": f"{ENERGY}={entry.register_}",
            }
        )
    return out.getvalue()


def _text(value: str) -> str:
    """A TOML basic string; JSON's escapes are a part of TOML's."""
    return json.dumps(value, ensure_ascii=False)
