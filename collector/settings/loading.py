"""`collector.toml` into `Settings`, or every mistake in it at once. Opens the file and the secrets it names, nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from collector.errors import SettingsError
from collector.settings.crosscheck import crosscheck
from collector.settings.findings import Finding, lines, of_schema
from collector.settings.schema import Settings
from protocols.errors import ProfileError, TomlProblem
from protocols.profile import Profile, builtin_profiles, site_profiles
from protocols.tomlfile import TomlFile, parse_toml, read_toml


def load_settings(path: Path) -> Settings:
    """The configuration in a file.

    :raises SettingsError: one line a mistake, each with file, line and key.
    """
    return _settings(lambda: read_toml(path), path.absolute().parent)


def settings_in(text: str, name: str, folder: Path) -> Settings:
    """The configuration in a text from `name`, whose relative paths count from `folder`.

    :raises SettingsError: as `load_settings`.
    """
    return _settings(lambda: parse_toml(text, name), folder)


def _settings(read: Callable[[], TomlFile], folder: Path) -> Settings:
    try:
        document = read()
    except TomlProblem as problem:
        raise SettingsError([str(problem)]) from problem
    findings = crosscheck(document.data)
    settings = None
    try:
        settings = Settings.model_validate(_frozen(document.data), context={"folder": folder})
    except ValidationError as error:
        findings += of_schema(Settings, error.errors())
    else:
        findings += _files(settings)
    if settings is None or findings:
        raise SettingsError(lines(document, findings))
    return settings


def load_profiles(settings: Settings) -> dict[str, Profile]:
    """The built-in profiles and those of the site, by id.

    :raises SettingsError: for a site profile that contradicts itself or takes a built-in name (a published name never
        changes its meaning).
    """
    known = builtin_profiles()
    folder = settings.site.profiles_d
    if folder is None:
        return known
    try:
        own = site_profiles(folder)
    except ProfileError as error:
        raise SettingsError(str(error).splitlines()) from error
    if taken := sorted(own.keys() & known.keys()):
        raise SettingsError([f"{folder}: the profile {name!r} is built in; give yours another id" for name in taken])
    return known | own


def _frozen(value: Any) -> Any:
    """Lists as tuples: records are frozen to the bottom, and the schema is strict about it."""
    if isinstance(value, dict):
        return {key: _frozen(inner) for key, inner in value.items()}
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def _files(settings: Settings) -> list[Finding]:
    """Folders and secrets that are named must be there; the database and the deliveries may still come."""
    findings = []
    folder = settings.site.profiles_d
    if folder is not None and not folder.is_dir():
        findings.append(Finding(("site", "profiles_d"), f"there is no folder {folder}"))
    for index, channel in enumerate(settings.channels):
        if channel.password_file is None:
            continue
        try:
            channel.password_file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
            findings.append(Finding(("channel", index, "password_file"), f"{channel.password_file}: {reason}"))
    return findings
