"""The registry file into the ledger, when it has changed since it was last taken."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from collector.clock import Clock
from collector.settings.registry_rows import read_registry
from collector.settings.schema import Settings
from protocols.profile import Profile
from storage.ledger.port import Ledger
from storage.registry import RegistryChange


async def import_registry(
    ledger: Ledger, settings: Settings, profiles: Mapping[str, Profile], clock: Clock, *, file: Path | None = None
) -> RegistryChange | None:
    """Take the rows of `file` (default: the configured one); None when they are in the ledger already.

    :raises SettingsError: every mistake of the file at once; nothing is taken then.
    """
    at = clock.now()
    points = {one.meter.meter: one.point.point for one in await ledger.registry()}
    registry = read_registry(file or settings.registry.file, settings, profiles, at=at, points=points)
    if registry.digest == await ledger.registry_digest():
        return None
    return await ledger.import_registry(registry.rows, digest=registry.digest, at=at)
