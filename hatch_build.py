"""Compiles collector/locale/<lang>/LC_MESSAGES/*.po to .mo beside it, for wheels and for editable installs alike.

Only the .po is kept in git: a .mo that was forgotten to be compiled again would speak yesterday's words.
"""

from pathlib import Path
from typing import Any

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CompileCatalogues(BuildHookInterface[Any]):
    """Hatch calls `initialize` before it collects the files of a build."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile every catalogue; none at all is fine."""
        for source in sorted(Path(self.root).glob("collector/locale/*/LC_MESSAGES/*.po")):
            with source.open("rb") as file:
                catalogue = read_po(file, locale=source.parent.parent.name, abort_invalid=True)
            with source.with_suffix(".mo").open("wb") as file:
                write_mo(file, catalogue)
