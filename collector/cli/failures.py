"""Every failure in one sentence on stderr, with the exit status that scripts go by.

Known errors (ours, storage's, protocols') say it themselves. What is unknown is a bug of ours: one line that says so, and
with --debug where it happened; that is the interpreter's last hook and no `except`, so nothing is ever swallowed on the way.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

import click

from collector.cli.command import DEBUG
from collector.errors import CollectorError, SettingsError
from collector.words import say, say_n
from protocols.errors import ProtocolError, ProtocolsError
from storage.errors import DatabaseUnusable, RegistryRefused, StorageError, ValueRefused

FAILED, REFUSED, INTERRUPTED, UNREAD = 1, 2, 130, 141
_KNOWN = (CollectorError, StorageError, ProtocolsError, OSError)


@contextmanager
def told(ctx: click.Context) -> Iterator[None]:
    """Turn failures inside into a sentence and an exit status; with `--debug` their traceback stands before it."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo(err=True)
        ctx.exit(INTERRUPTED)
    except BrokenPipeError:
        _hush()
        ctx.exit(UNREAD)
    except _KNOWN as error:
        if isinstance(error, OSError) and error.filename is None:
            raise  # no file: not the user's world but ours
        _trace(error, debug=bool(ctx.meta.get(DEBUG)))
        click.echo(sentence(error), err=True)
        ctx.exit(status(error))
    except ExceptionGroup as group:
        known, unknown = group.split(_KNOWN)
        if unknown is not None or known is None:
            raise
        failures = list(leaves(known))
        if all(isinstance(failure, BrokenPipeError) for failure in failures):
            _hush()
            ctx.exit(UNREAD)
        _trace(group, debug=bool(ctx.meta.get(DEBUG)))
        click.echo("\n".join(map(sentence, failures)), err=True)
        ctx.exit(max(map(status, failures)))


def _hush() -> None:
    """Whatever is still buffered goes nowhere, quietly; else the interpreter complains at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _trace(error: Exception, *, debug: bool) -> None:
    if debug:
        click.echo("".join(traceback.format_exception(error)), err=True)


def leaves(group: ExceptionGroup[Exception]) -> Iterator[Exception]:
    """The errors in a group, however deep."""
    for error in group.exceptions:
        if isinstance(error, ExceptionGroup):
            yield from leaves(error)
        else:
            yield error


def sentence(error: Exception) -> str:
    """What to tell a person."""
    match error:
        case SettingsError(problems=[_, _, *_]):
            headline = say_n("{n} mistake:", "{n} mistakes:", len(error.problems))
            return "\n".join([headline, *error.problems])
        case OSError(filename=str(name), strerror=str(reason)):
            return f"{name}: {reason}"
        case _:
            return str(error) or (type(error).__doc__ or type(error).__name__)


def status(error: Exception) -> int:
    """The exit status that this error asks for."""
    match error:
        case CollectorError():
            return error.exit_status
        case DatabaseUnusable() | RegistryRefused() | ValueRefused() | OSError():
            return REFUSED
        case StorageError() | ProtocolError():
            return FAILED
        case _:
            return REFUSED  # a request, an OBIS code or a profile that cannot be: all of them come from the user


def bug(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """The interpreter's last hook: an error that nobody foresaw."""
    if issubclass(kind, KeyboardInterrupt):
        return
    where = trace
    while where is not None and where.tb_next is not None:
        where = where.tb_next
    place = f"{where.tb_frame.f_code.co_filename}:{where.tb_lineno}" if where is not None else "?"
    says = say(
        "this is a bug in chaobiao: {kind}: {error} (at {place}); with --debug it says more",
        kind=kind.__name__,
        error=error,
        place=place,
    )
    click.echo(says, err=True)
