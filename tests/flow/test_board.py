"""The living board fits any terminal: what tells something stays, and so does the footer."""

import pytest

from collector.cli.live import Row, fitting

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
