"""Commands, groups and options whose help is in the reader's language and ends with an example."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, TypeVar

import click

from collector.words import mark, say

F = TypeVar("F", bound=Any)

_SENTENCE_END = re.compile(r"(?<=\.)\s|(?<=。)")


class Spoken:
    """A text that is kept in English and read in the chosen language."""

    def __get__(self, holder: Any, owner: type | None = None) -> str | None:
        english: str | None = holder.__dict__.get("english_help")
        return say(english) if english else english

    def __set__(self, holder: Any, english: str | None) -> None:
        holder.__dict__["english_help"] = english


class Option(click.Option):
    """An option whose help is translated when it is shown."""

    help = Spoken()


class Command(click.Command):
    """A command; `example` is one line that can be typed as it is."""

    def __init__(self, *args: Any, example: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.example = example

    help = Spoken()

    def get_short_help_str(self, limit: int = 45) -> str:
        """For the list of commands: the first sentence, whole. (click cuts at `limit`, and knows no Chinese full stop.)"""
        return _SENTENCE_END.split(self.help or "")[0].rstrip(".。")

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The example."""
        formatter.write_paragraph()
        formatter.write(f"{say('Example:')}\n  {self.example}\n")


class Group(Command, click.Group):
    """A command with subcommands."""

    command_class = Command


def config_option(function: F) -> F:
    """`-c FILE`, the configuration."""
    option = click.option(
        "-c",
        "--config",
        cls=Option,
        type=click.Path(path_type=Path),
        required=True,
        envvar="CHAOBIAO_CONFIG",
        metavar="FILE",
        help=mark("The configuration, collector.toml."),
    )
    decorated: F = option(function)
    return decorated


def json_option(function: F) -> F:
    """`--json`."""
    option = click.option("--json", "as_json", cls=Option, is_flag=True, help=mark("One JSON object a line."))
    decorated: F = option(function)
    return decorated
