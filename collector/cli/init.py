"""`chaobiao init DIR`: the files to start from."""

from __future__ import annotations

from pathlib import Path

import click

from collector.cli.command import Command
from collector.errors import UsageError
from collector.settings.samples import SAMPLES, sample
from collector.words import mark, say


@click.command(
    cls=Command,
    example="chaobiao init /etc/chaobiao",
    help=mark(
        "Write a commented configuration and a registry file to start from. Files that are there are never overwritten."
    ),
)
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
def init(directory: Path) -> None:
    """Write the samples."""
    targets = {directory / target: sample(name) for target, name in SAMPLES.items()}
    if there := [path for path in targets if path.exists() or path.is_symlink()]:
        listed = ", ".join(map(str, there))
        raise UsageError(say("{files}: there already; nothing was written", files=listed))
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for path, text in targets.items():
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        raise UsageError(say("cannot write to {path}: {reason}", path=directory, reason=error.strerror)) from error
    for path in targets:
        click.echo(path)
    configuration = directory / next(iter(SAMPLES))
    click.echo(say("Edit them, then: chaobiao check -c {file}", file=configuration), err=True)
