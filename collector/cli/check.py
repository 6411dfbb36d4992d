"""`chaobiao check`: is the configuration right, and the registry file beside it? Opens no database and no link."""

from __future__ import annotations

from pathlib import Path

import click

from collector.cli.command import Command, config_option
from collector.cli.coverage import gaps, sentence
from collector.clock import SystemClock
from collector.errors import SettingsError
from collector.jobs.prove import prove
from collector.settings.loading import load_profiles, load_settings
from collector.settings.registry_rows import read_registry
from collector.settings.schema import Settings
from collector.words import mark, say, say_n
from protocols.profile import Profile, load_profile
from protocols.tomlfile import read_toml


@click.command(
    cls=Command,
    example="chaobiao check -c collector.toml",
    help=mark(
        "Check configuration, profiles and, where it exists, the registry file. Every mistake at once, each with file, "
        "line and key; the site's own profiles must read their own frames. Opens no database and no link."
    ),
)
@config_option
def check(config: Path) -> None:
    """Check and say what there is."""
    settings = load_settings(config)
    profiles = load_profiles(settings)
    parts = (
        say_n("{n} channel", "{n} channels", len(settings.channels)),
        say_n("{n} plan", "{n} plans", len(settings.plans)),
        say_n("{n} profile", "{n} profiles", len(profiles)),
    )
    click.echo(say("{file}: good: {parts}", file=config, parts=", ".join(parts)))
    _check_profiles(settings)
    _check_registry(settings, profiles)


def _check_profiles(settings: Settings) -> None:
    """Profiles of the site's own read their own frames, as the built-in ones do (tests see to those)."""
    folder = settings.site.profiles_d
    if folder is None:
        return
    proven, problems = [], []
    for path in sorted(folder.glob("*.toml")):
        profile = load_profile(path)
        document = read_toml(path)
        flaws = prove(profile, settings.zone)
        problems += [f"{document.at(flaw.place)}: {flaw.says}" for flaw in flaws]
        if not flaws:
            proven.append((path, profile))
    if problems:
        raise SettingsError(problems)
    for path, profile in proven:
        registers = say_n("{n} register", "{n} registers", len(profile.registers))
        vectors = say_n("{n} vector proven", "{n} vectors proven", len(profile.vector))
        if not profile.vector:
            vectors = say("no vector, so nothing proves it")
        click.echo(say("{file}: good: {parts}", file=path, parts=f"{registers}, {vectors}"))


def _check_registry(settings: Settings, profiles: dict[str, Profile]) -> None:
    file = settings.registry.file
    if not file.exists():
        click.echo(say("{file}: not there yet", file=file))
        return
    registry = read_registry(file, settings, profiles, at=SystemClock().now())
    parts = say_n("{n} meter", "{n} meters", len(registry.rows))
    click.echo(say("{file}: good: {parts}", file=file, parts=parts))
    for gap in gaps(settings.plan_records, registry.rows, profiles):
        click.echo(sentence(gap))
