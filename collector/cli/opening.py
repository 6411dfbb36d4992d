"""An installation as a command finds it: its configuration, its profiles, and its ledger for as long as it is needed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from collector.settings.loading import load_profiles, load_settings
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
    async def ledger(self, *, create: bool = False) -> AsyncIterator[Ledger]:
        """The ledger, open inside the block. `create`: make the database where there is none."""
        ledger = await open_ledger(self.settings.storage.url.url, create=create)
        try:
            yield ledger
        finally:
            await ledger.close()


def open_site(config: Path) -> Site:
    """Read configuration and profiles. :raises SettingsError: every mistake at once."""
    settings = load_settings(config)
    return Site(settings, load_profiles(settings))
