"""`chaobiao db`: the database's schema and its care."""

from __future__ import annotations

from pathlib import Path

import click

from collector.cli.command import Command, Group, config_option, json_option
from collector.cli.shapes import one_line
from collector.cli.tables import show_table
from collector.settings.loading import load_settings
from collector.words import mark, say
from storage import engine


@click.group(
    cls=Group, example="chaobiao db status -c collector.toml", help=mark("The database: its schema, and what is in it.")
)
def db() -> None:
    """See `help` above."""


@db.command(
    "upgrade",
    cls=Command,
    example="chaobiao db upgrade -c collector.toml",
    help=mark(
        "Bring the database to this version's schema; make it where there is none. A second run changes nothing."
    ),
)
@config_option
def upgrade(config: Path) -> None:
    """Upgrade, and say to what."""
    done = engine.upgrade(load_settings(config).storage.url.url)
    click.echo(say("{path}: schema {revision}", path=done.path, revision=done.revision))


@db.command(
    "status",
    cls=Command,
    example="chaobiao db status -c collector.toml",
    help=mark("Which schema the database has, and how much is in it. Exit status 1 if it must be upgraded."),
)
@config_option
@json_option
def status(config: Path, as_json: bool) -> None:
    """Look, change nothing."""
    found = engine.status(load_settings(config).storage.url.url)
    behind = found.revision != found.head
    if as_json:
        counts = dict(found.counts)
        shape = {
            "path": found.path,
            "schema": found.revision,
            "newest": found.head,
            "bytes": found.size,
            "rows": counts,
        }
        click.echo(one_line(shape))
    else:
        says = say("{path}: schema {revision}, {size} bytes", path=found.path, revision=found.revision, size=found.size)
        click.echo(says)
        show_table((say("table"), say("rows")), sorted(found.counts.items()), numbers=(1,))
    if behind:
        click.echo(say("this version has schema {head}: run 'chaobiao db upgrade'", head=found.head), err=True)
        click.get_current_context().exit(1)
