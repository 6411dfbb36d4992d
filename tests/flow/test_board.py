"""The living board fits any terminal: what tells something stays, and so does the footer."""

import io
import sys

import pytest

from collector.cli.live import Board, Row, fitting

ROWS: list[Row] = [((f"M{n}", "verified"), "verified") for n in range(20)]
ROWS[7] = (("M7", "suspect"), "suspect")
ROWS[15] = (("M15", "-"), "missing")


def names(rows: list[Row]) -> list[str]:
    return [cells[0] for cells, _ in rows]


def test_with_room_all_are_shown() -> None:
    assert fitting(ROWS, 20) == (ROWS, 0)


def test_without_room_those_that_tell_something_stay_in_their_order() -> None:
    shown, left_out = fitting(ROWS, 6)
    assert names(shown) == ["M0", "M1", "M2", "M7", "M15"]
    assert left_out == 15


@pytest.mark.parametrize("room", [-3, 0, 1])
def test_a_terminal_too_low_for_any_row(room: int) -> None:
    assert fitting(ROWS, room) == ([], 20)


DISTRICT: list[Row] = [(("upper-03", "no_answer 6"), "missing"), *((("upper-04", ""), "verified") for _ in range(23))]


def shown(monkeypatch: pytest.MonkeyPatch, *, lines: int) -> list[str]:
    """The board's lines on a terminal of this height."""
    monkeypatch.setenv("LINES", str(lines))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stdout", screen)
    with Board(("meter", "trouble"), coloured=0, numbers=(), hint="Ctrl-C ends") as board:
        board.show("midnight", DISTRICT, ["due 24, collected 18", "x" * 100])
        return screen.getvalue().splitlines()


@pytest.mark.parametrize("lines", [10, 24, 30])
def test_it_fits_and_nothing_below_the_table_is_cut(monkeypatch: pytest.MonkeyPatch, lines: int) -> None:
    screen = shown(monkeypatch, lines=lines)
    assert len(screen) <= lines
    assert "no_answer 6" in screen[3]
    assert any("due 24, collected 18" in line for line in screen)
    assert "Ctrl-C ends" in screen[-1]


def test_what_does_not_fit_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = shown(monkeypatch, lines=24)
    told = sum("upper-" in line for line in screen)
    assert any(f"… and {len(DISTRICT) - told} more" in line for line in screen)
    assert not any("more" in line for line in shown(monkeypatch, lines=50))
