"""An installation as a command finds it: its configuration, its profiles, and its ledger for as long as it is needed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from collector.clock import SystemClock
from collector.settings.loading import load_profiles, load_settings
from collector.settings.registry_rows import read_registry
from collector.settings.schema import Settings
from protocols.profile import Profile
from storage.engine import open_ledger
from storage.ledger.port import Ledger


@dataclass(frozen=True, slots=True)
class Site:
    """What a configuration file says, checked whole."""

    settings: Settings
    profiles: dict[str, Profile]

    @asynccontextmanager
    async def ledger(self, *, make_for: Path | None = None, hold: bool = False) -> AsyncIterator[Ledger]:
        """The ledger, open inside the block. `make_for`: where there is no database, make one for this registry file. `hold`: its
        files stay open, whatever else is opened (`open_ledger`).

        :raises SettingsError: every mistake of that file; no database is made for one that is wrong.
        """
        database = self.settings.storage.url
        if make_for is not None and not database.path.exists():
            read_registry(make_for, self.settings, self.profiles, at=SystemClock().now())
        ledger = await open_ledger(database.url, create=make_for is not None, hold=hold)
        try:
            yield ledger
        finally:
            await ledger.close()


def open_site(config: Path) -> Site:
    """Read configuration and profiles. :raises SettingsError: every mistake at once."""
    settings = load_settings(config)
    return Site(settings, load_profiles(settings))
