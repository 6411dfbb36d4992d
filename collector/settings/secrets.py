"""Secrets come from the environment or from files, never from `collector.toml`, and are never printed."""

from __future__ import annotations

import re
from collections.abc import Mapping

from collector.settings.schema import Channel


def password_variable(channel: Channel) -> str:
    """`CHAOBIAO_PASSWORD_VILLAGE_1` for the channel village-1."""
    return "CHAOBIAO_PASSWORD_" + re.sub(r"\W", "_", channel.name).upper()


def channel_password(channel: Channel, environment: Mapping[str, str]) -> str | None:
    """From the environment, else from `password_file` (its last line end is not part of it); None where there is none."""
    if (given := environment.get(password_variable(channel))) is not None:
        return given
    if channel.password_file is None:
        return None
    return channel.password_file.read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
