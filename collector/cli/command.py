"""Commands, groups and options whose help is in the reader's language and ends with an example."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any, TypeVar

import click

from collector import words
from collector.cli import borrowed
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


def _speak(ctx: click.Context, _option: click.Parameter, language: str | None) -> None:
    if language is None and ctx.parent is not None:
        return  # what was said before the subcommand stays
    spoken = words.choose(language, os.environ)
    borrowed.speak(spoken)
    if language and spoken.partition("_")[0] != language.replace("-", "_").partition("_")[0]:
        raise click.BadParameter(f"{language!r} is not spoken here; there are: {', '.join(words.languages())}")


def _debug(ctx: click.Context, _option: click.Parameter, asked: bool) -> None:
    if asked:
        ctx.find_root().meta[DEBUG] = True
        sys.excepthook = sys.__excepthook__


DEBUG = "collector.debug"
"""Where the context keeps that `--debug` was said."""


def everywhere(**more: Any) -> list[click.Parameter]:
    """`--lang` and `--debug`: every command takes them, so that nobody need know before which word they belong."""
    return [
        Option(
            ["--lang"],
            is_eager=True,
            expose_value=False,
            callback=_speak,
            metavar="LANGUAGE",
            help=mark("en or zh; default: what LANG says."),
            **more,
        ),
        Option(
            ["--debug"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_debug,
            help=mark("Show where in the program a failure happened."),
            **more,
        ),
    ]


class Command(click.Command):
    """A command; `example` is one line that can be typed as it is."""

    def __init__(self, *args: Any, example: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.example = example
        if not {"lang", "debug"} & {one.name for one in self.params}:
            self.params += everywhere(hidden=True)

    help = Spoken()

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """click makes it once, in the language of that moment."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.help = say("Show this message and exit.")
        return option

    def get_short_help_str(self, limit: int = 45) -> str:
        """For the list of commands: the first sentence, whole. (click cuts at `limit`, and knows no Chinese full stop.)"""
        return _SENTENCE_END.split(self.help or "")[0].rstrip(".。")

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The example."""
        formatter.write_paragraph()
        title = say("Example:")
        formatter.write(f"{title}\n  {self.example}\n")


class Group(Command, click.Group):
    """A command with subcommands."""

    command_class = Command


def config_option(function: F) -> F:
    """`-c FILE`, the configuration."""
    option = click.option(
        "-c",
        "--config",
        cls=Option,
        type=click.Path(path_type=Path, readable=False),  # whether it may be read, says opening it
        required=True,
        envvar="CHAOBIAO_CONFIG",
        metavar="FILE",
        help=mark("The configuration, collector.toml."),
    )
    decorated: F = option(function)
    return decorated


def daemon_option(function: F) -> F:
    """`-c FILE`, for a command that needs none."""
    option = click.option(
        "-c",
        "--config",
        cls=Option,
        type=click.Path(path_type=Path, readable=False),
        metavar="FILE",
        help=mark("The configuration of a daemon that may have this line: then the daemon does it."),
    )
    decorated: F = option(function)
    return decorated


def json_option(function: F) -> F:
    """`--json`."""
    option = click.option("--json", "as_json", cls=Option, is_flag=True, help=mark("One JSON object a line."))
    decorated: F = option(function)
    return decorated
