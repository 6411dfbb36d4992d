"""Secrets come from the environment or from files, never from `collector.toml`, and are never printed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from collector.settings.schema import Channel, ClockSettings


def password_variable(channel: Channel) -> str:
    """`CHAOBIAO_PASSWORD_VILLAGE_1` for the channel village-1."""
    return "CHAOBIAO_PASSWORD_" + re.sub(r"\W", "_", channel.name).upper()


def channel_password(channel: Channel, environment: Mapping[str, str]) -> str | None:
    """From the environment, else from `password_file` (its last line end is not part of it); None where there is none."""
    if (given := environment.get(password_variable(channel))) is not None:
        return given
    return None if channel.password_file is None else _first_line(channel.password_file)


CLOCK_PASSWORD = "CHAOBIAO_CLOCK_PASSWORD"  # noqa: S105 - the name of a variable


def clock_password(settings: ClockSettings, environment: Mapping[str, str]) -> str | None:
    """What lets meters' clocks be set: from the environment, else from `password_file`; None where there is none."""
    if (given := environment.get(CLOCK_PASSWORD)) is not None:
        return given.strip()
    return None if settings.password_file is None else _first_line(settings.password_file).strip()


def _first_line(file: Path) -> str:
    return file.read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
