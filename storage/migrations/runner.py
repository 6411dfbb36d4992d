"""The door to Alembic: which steps there are, and taking a database to the last one."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

SCRIPTS = Path(__file__).parent


def config() -> Config:
    """No alembic.ini: the steps lie beside this file, in a checkout and in an installed wheel alike."""
    settings = Config()
    settings.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    settings.set_main_option("path_separator", "os")
    return settings


def steps() -> tuple[str, ...]:
    """All, first to last."""
    script = ScriptDirectory.from_config(config())
    return tuple(step.revision for step in reversed(list(script.walk_revisions())))


def upgrade(connection: Connection) -> None:
    """To the last step, inside the transaction that the caller has begun."""
    settings = config()
    settings.attributes["connection"] = connection
    command.upgrade(settings, "head")
