"""Words for people, in English or in another language that has a catalogue (gettext: collector/locale/<language>/…).

Only `cli` and `console` speak; other rooms return codes and parameters. The English sentence is the key; `{names}` in it are
filled in after translation, so that another language may order them as it needs. Catalogues are compiled when the project is
installed or its wheel is built (hatch_build.py); without one, English is spoken.

New sentences, found by `say`, `say_n`, `mark` and `mark_n`, are put into the catalogue by hand or by
    pybabel extract -k say -k say_n:1,2 -k mark -k mark_n:1,2 --no-location -o words.pot collector
    pybabel update -D chaobiao -i words.pot -d collector/locale --no-fuzzy-matching
A test finds those that are missing, and those that nobody speaks any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from functools import cache
from gettext import NullTranslations, translation
from pathlib import Path

DOMAIN = "chaobiao"
LOCALE = Path(__file__).with_name("locale")
_ENGLISH = ("en", "c", "posix")

_language: ContextVar[str] = ContextVar("language", default="en")


def choose(wanted: str | None, environment: Mapping[str, str]) -> str:
    """Speak `wanted`, else what LANGUAGE, LC_ALL, LC_MESSAGES or LANG asks for, as gettext does; returns what is spoken."""
    variables = (environment.get(name, "") for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"))
    asked = wanted or next(filter(None, variables), "en")
    for language in filter(None, asked.split(":")):
        short = language.partition(".")[0].partition("@")[0]
        if short.partition("_")[0].partition("-")[0].lower() in _ENGLISH:
            break
        if type(_catalogue(short.replace("-", "_"))) is not NullTranslations:
            _language.set(short.replace("-", "_"))
            return short
    _language.set("en")
    return "en"


def language() -> str:
    """What is spoken."""
    return _language.get()


def languages() -> tuple[str, ...]:
    """English, and what has a compiled catalogue."""
    return ("en", *sorted(path.parent.parent.name for path in LOCALE.glob(f"*/LC_MESSAGES/{DOMAIN}.mo")))


def say(message: str, /, **parts: object) -> str:
    """A sentence in the chosen language."""
    return _catalogue(_language.get()).gettext(message).format(**parts)


def say_n(one: str, many: str, n: int, /, **parts: object) -> str:
    """A sentence about `n` things, which it may name as {n}."""
    return _catalogue(_language.get()).ngettext(one, many, n).format(n=n, **parts)


def mark(message: str) -> str:
    """A sentence that is spoken later: it is found for the catalogue, and left as it is."""
    return message


def mark_n(one: str, many: str) -> tuple[str, str]:
    """A sentence about a number of things that is spoken later."""
    return one, many


@cache
def _catalogue(language: str) -> NullTranslations:
    return translation(DOMAIN, LOCALE, languages=[language], fallback=True)
