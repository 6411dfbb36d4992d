"""The sentences that click speaks, so that they are in our catalogue, and click is told to look there.

click asks the standard library's gettext for each of them when it needs it; that looks at LANGUAGE.
"""

from __future__ import annotations

import gettext
import os

from collector import words
from collector.words import mark, mark_n

SENTENCES = (
    mark("Usage:"),
    mark("Options"),
    mark("Commands"),
    mark("Show this message and exit."),
    mark("Show the version and exit."),
    mark("required"),
    mark("default: {default}"),
    mark("Error: {message}"),
    mark("Try '{command} {option}' for help."),
    mark("Invalid value: {message}"),
    mark("Invalid value for {param_hint}: {message}"),
    mark("Missing argument"),
    mark("Missing option"),
    mark("Missing command."),
    mark("No such option {name!r}."),
    mark("No such command {name!r}."),
    mark("Option {name!r} does not take a value."),
    mark("{value!r} is not a valid {number_type}."),
    mark("{value} is not in the range {range}."),
    mark("Choose from:\n\t{choices}"),
)
COUNTED = (
    mark_n("Did you mean {possibility}?", "(Did you mean one of: {possibilities}?)"),
    mark_n("Got unexpected extra argument ({args})", "Got unexpected extra arguments ({args})"),
    mark_n("{value!r} is not {choice}.", "{value!r} is not one of {choices}."),
    mark_n("Option {name!r} requires an argument.", "Option {name!r} requires {nargs} arguments."),
)


def speak(language: str) -> None:
    """Let click speak this language."""
    gettext.bindtextdomain(words.DOMAIN, words.LOCALE)
    gettext.textdomain(words.DOMAIN)
    os.environ["LANGUAGE"] = language
