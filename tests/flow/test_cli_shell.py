"""The command as a whole: help, exit statuses, and one sentence for each failure."""

import signal
import sys
from importlib import import_module

import click
import pytest

from collector.cli import main as cli
from collector.cli.command import Command
from collector.errors import LinkError, SettingsError, UsageError, WorkFailed
from protocols.errors import BadChecksum, ObisError, ProfileError, RequestError
from storage.errors import DatabaseBusy, DatabaseUnusable, DeliveryRefused, RegistryRefused, ValueRefused
from storage.records import Owner
from tests.flow.commands import finish, run, start

FRAME = "68 78 56 34 12 00 00 68 11 04 33 33 34 33 C6 16"


def every_command() -> list[tuple[str, ...]]:
    """The words of each command, subcommands included."""
    found: list[tuple[str, ...]] = []

    def walk(group: click.Group, above: tuple[str, ...]) -> None:
        context = click.Context(group)
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            assert command is not None
            found.append((*above, name))
            if isinstance(command, click.Group):
                walk(command, (*above, name))

    walk(cli.shell, ())
    return found


def failing(error: BaseException) -> click.Command:
    """A command that fails with this."""

    @click.command(cls=Command, example="chaobiao fails", help="It fails.")
    def fails() -> None:
        raise error

    return fails


def test_version() -> None:
    done = run("--version")
    assert (done.exit_code, done.output) == (0, "chaobiao, version 0.1.0\n")


@pytest.mark.parametrize("words", [(), *every_command()], ids=" ".join)
def test_every_command_has_help_with_an_example(words: tuple[str, ...]) -> None:
    done = run(*words, "--help")
    assert done.exit_code == 0
    _, found, example = done.output.partition("Example:\n")
    assert found, done.output
    assert example.strip().startswith(" ".join(("chaobiao", *words)))


def test_commands_that_are_listed_can_be_loaded() -> None:
    for place, _ in cli.COMMANDS.values():
        module, _, attribute = place.partition(":")
        assert isinstance(getattr(import_module(module), attribute), click.Command)


def test_the_list_of_commands_says_what_they_say_of_themselves() -> None:
    context = click.Context(cli.shell)
    commands = {name: cli.shell.get_command(context, name) for name in cli.COMMANDS}
    assert {name: sentence for name, (_, sentence) in cli.COMMANDS.items()} == {
        name: command.get_short_help_str() for name, command in commands.items() if command is not None
    }


def test_the_list_of_commands_loads_none_of_them() -> None:
    code = """
import sys
from collector.cli.main import shell
shell(["--help"], standalone_mode=False)
print([name for name in ("sqlalchemy", "pymodbus", "pydantic", "rich") if name in sys.modules])
"""
    assert finish(start(code=code)).out.endswith("[]\n")


def test_a_word_that_is_no_command_is_wrong_usage() -> None:
    done = run("chek")
    assert done.exit_code == 2
    assert "No such command 'chek'" in done.stderr


@pytest.mark.parametrize(
    ("error", "status", "says"),
    [
        (SettingsError(["collector.toml:3: a.b: wrong"]), 2, "collector.toml:3: a.b: wrong\n"),
        (SettingsError(["c.toml:3: a", "c.toml:4: b"]), 2, "2 mistakes:\nc.toml:3: a\nc.toml:4: b\n"),
        (UsageError("not so"), 2, "not so\n"),
        (WorkFailed("3 of 24 meters gave nothing"), 1, "3 of 24 meters gave nothing\n"),
        (LinkError("connection_refused", Owner.TERMINAL, "127.0.0.1:1: refused"), 1, "127.0.0.1:1: refused\n"),
        (BadChecksum("the checksum is 16, not 17", data=b"\x68"), 1, "the checksum is 16, not 17 at byte 0 of 68\n"),
        (RequestError("no address"), 2, "no address\n"),
        (ObisError("no code"), 2, "no code\n"),
        (ProfileError("p.toml:1: id: twice"), 2, "p.toml:1: id: twice\n"),
        (DatabaseUnusable("x.db: is no database"), 2, "x.db: is no database\n"),
        (DatabaseBusy("x.db: busy"), 1, "x.db: busy\n"),
        (RegistryRefused("twice"), 2, "twice\n"),
        (ValueRefused("too large"), 2, "too large\n"),
        (DeliveryRefused("out of sequence"), 1, "out of sequence\n"),
        (DatabaseBusy(), 1, "The database is held by another process.\n"),
        (PermissionError(13, "Permission denied", "deliveries/x"), 2, "deliveries/x: Permission denied\n"),
        (ExceptionGroup("tasks", [WorkFailed("one"), ExceptionGroup("more", [UsageError("two")])]), 2, "one\ntwo\n"),
        (KeyboardInterrupt(), 130, "\n"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_a_failure_is_one_sentence_and_a_status(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, status: int, says: str
) -> None:
    monkeypatch.setattr(cli.Shell, "get_command", lambda _self, _ctx, _name: failing(error))
    done = run("fails")
    assert (done.exit_code, done.stderr) == (status, says)
    assert done.stdout == ""


def test_debug_shows_where_and_keeps_sentence_and_status(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(cli.Shell, "get_command", lambda _self, _ctx, _name: failing(UsageError("not so")))
    done = run("--debug", "fails")
    assert done.exit_code == 2
    assert done.stderr.startswith("Traceback (most recent call last):")
    assert done.stderr.endswith("\nnot so\n")


@pytest.mark.parametrize(
    "error", [RuntimeError("boom"), OSError("no file"), ExceptionGroup("x", [WorkFailed(), RuntimeError("boom")])]
)
def test_what_nobody_foresaw_is_not_swallowed(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    monkeypatch.setattr(cli.Shell, "get_command", lambda _self, _ctx, _name: failing(error))
    with pytest.raises(type(error)):
        run("fails")


BROKEN = """
import sys
from tests.flow.test_cli_shell import failing
from collector.cli import main as cli
cli.Shell.get_command = lambda self, ctx, name: failing(RuntimeError("boom"))
cli.main(sys.argv[1:])
"""


def test_a_bug_is_one_line_and_debug_shows_where() -> None:
    brief = finish(start("fails", code=BROKEN))
    assert (brief.status, brief.out) == (1, "")
    assert brief.err.startswith("this is a bug in chaobiao: RuntimeError: boom (at ")
    assert brief.err.count("\n") == 1
    full = finish(start("--debug", "fails", code=BROKEN))
    assert full.status == 1
    assert "Traceback" in full.err


def test_ctrl_c_ends_with_130_and_no_traceback() -> None:
    process = start("decode", "--protocol", "dlt645", "-")
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(FRAME + "\n")
    process.stdin.flush()
    assert '"ok": true' in process.stdout.readline(), "it waits for the next line now"
    process.send_signal(signal.SIGINT)
    ended = finish(process)
    assert (ended.status, ended.err.strip()) == (130, "")


def test_a_reader_that_goes_away_is_no_failure_worth_words() -> None:
    process = start("decode", "--protocol", "dlt645", "-")
    assert process.stdout is not None
    process.stdout.close()
    assert process.stdin is not None
    assert process.stderr is not None
    with process.stdin:
        process.stdin.write(FRAME + "\n")
    assert process.wait(timeout=30) == 141
    with process.stderr:
        assert process.stderr.read() == ""


def test_nor_is_one_that_goes_away_while_tasks_run() -> None:
    code = """
from collector.cli import decode, main
def shape(*_): raise ExceptionGroup("tasks", [ExceptionGroup("more", [BrokenPipeError()])])
decode.shape = shape
main.main()
"""
    ended = finish(start("decode", "--protocol", "dlt645", FRAME, code=code))
    assert (ended.status, ended.err) == (141, "")


def test_a_language_that_nobody_speaks_here_is_wrong_usage() -> None:
    done = run("--lang", "xx", "check")
    assert done.exit_code == 2
    assert "'xx' is not spoken here" in done.stderr


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_list_of_commands_says_whole_sentences(language: str) -> None:
    """click would cut at 45 letters, and of a Chinese sentence, which has no spaces, leave three dots."""
    listed = run("--help", language=language).stdout.partition("Commands:" if language == "en" else "命令:")[2]
    assert "..." not in listed
    assert ("Check configuration" if language == "en" else "检查配置") in listed
