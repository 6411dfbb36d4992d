"""The database's URL. A relative path counts from the configuration file: a service has no sensible working directory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, ValidationInfo

from collector.settings.fields import folder_of, show, text

_PREFIX = "sqlite:///"


@dataclass(frozen=True, slots=True)
class SqliteFile:
    """A database in one file."""

    path: Path

    @property
    def url(self) -> str:
        """`sqlite:////absolute/path`, as SQLAlchemy writes it."""
        return f"{_PREFIX}{self.path}"


def _database(value: object, info: ValidationInfo) -> SqliteFile:
    url = text(value, "sqlite:///chaobiao.db")
    if url.startswith(("postgresql:", "postgresql+", "postgres:")):
        raise ValueError("PostgreSQL is not built into this version; use sqlite:///chaobiao.db")
    path = url.removeprefix(_PREFIX)
    if not url.startswith(_PREFIX) or "?" in path:
        raise ValueError(f"{show(url)} is no database; write it as sqlite:///chaobiao.db")
    if path in ("", ":memory:"):
        raise ValueError(f"{show(url)} would forget everything at the end; name a file, as in sqlite:///chaobiao.db")
    return SqliteFile(folder_of(info) / path)


Database = Annotated[SqliteFile, BeforeValidator(_database)]
