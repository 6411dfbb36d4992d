"""Concentrators that number their messages: what has come, what is missing, what will never come."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from storage.ledger import counting, senders
from storage.ledger.port import Ledger
from storage.ledger.progress import MOST_GAPS
from storage.records import Batch
from storage.senders import Numbered, Progress
from tests.ledger.ledgers import at, new_ledger, reading, standing


def numbered(*seqs: int, sender: str = "dcu-1", boot: str = "a", oldest: int = 0) -> tuple[Numbered, ...]:
    return tuple(Numbered("broker", sender, boot, seq, at(seq % 24), oldest) for seq in seqs)


async def hear(ledger: Ledger, *seqs: int, sender: str = "dcu-1", boot: str = "a", oldest: int = 0) -> Progress:
    receipt = await ledger.append(Batch(numbered=numbered(*seqs, sender=sender, boot=boot, oldest=oldest)))
    (one,) = receipt.progress
    assert one in await ledger.senders()
    return one


async def test_nobody_has_numbered_anything(ledger: Ledger) -> None:
    receipt = await ledger.append(Batch(readings=(reading(1, 1),)))
    assert receipt.progress == ()
    assert await ledger.senders() == ()


async def test_in_order_there_is_nothing_missing(ledger: Ledger) -> None:
    assert await hear(ledger, 1, 2, 3) == Progress("broker", "dcu-1", "a", 3, 3, (), 0, at(3))
    assert (await hear(ledger, 4)).upto == 4


async def test_a_gap_is_known_and_closed(ledger: Ledger) -> None:
    one = await hear(ledger, 1, 2, 6, 9)
    assert (one.upto, one.highest, one.missing) == (2, 9, ((3, 5), (7, 8)))
    one = await hear(ledger, 4)
    assert (one.upto, one.missing) == (2, ((3, 3), (5, 5), (7, 8)))
    one = await hear(ledger, 3, 5, 7)
    assert (one.upto, one.missing) == (7, ((8, 8),))
    one = await hear(ledger, 8)
    assert (one.upto, one.highest, one.missing) == (9, 9, ())


async def test_what_comes_again_or_before_the_first_changes_nothing(ledger: Ledger) -> None:
    before = await hear(ledger, 1, 2, 5)
    after = await hear(ledger, 2, 0, 5)
    assert (after.upto, after.highest, after.missing) == (before.upto, before.highest, before.missing)


async def test_the_first_that_is_heard_need_not_be_the_first(ledger: Ledger) -> None:
    assert (await hear(ledger, 4)).missing == ((1, 3),)


async def test_each_boot_counts_anew(ledger: Ledger) -> None:
    await hear(ledger, *range(1, 100))
    assert (await hear(ledger, 1, 3, boot="b")).missing == ((2, 2),)
    assert [(one.boot, one.upto) for one in await ledger.senders()] == [("a", 99), ("b", 1)]


async def test_senders_and_channels_are_apart(ledger: Ledger) -> None:
    other = Numbered("elsewhere", "dcu-1", "a", 1, at(0))
    receipt = await ledger.append(Batch(numbered=(*numbered(1, 2), *numbered(1, sender="dcu-2"), other)))
    assert [(one.channel, one.sender, one.upto) for one in receipt.progress] == [
        ("broker", "dcu-1", 2),
        ("broker", "dcu-2", 1),
        ("elsewhere", "dcu-1", 1),
    ]
    assert [one.upto for one in await ledger.senders()] == [2, 1, 1]


async def test_what_the_sender_no_longer_has_is_lost_and_said_so(ledger: Ledger) -> None:
    await hear(ledger, 1, 2, 10)
    one = await hear(ledger, 11, oldest=8)
    assert (one.upto, one.missing, one.lost) == (2 + 5, ((8, 9),), 5)
    one = await hear(ledger, 20, oldest=20)
    assert (one.upto, one.missing, one.lost) == (20, (), 5 + 2 + 8)
    one = await hear(ledger, 21, oldest=3)  # an old message: what is closed stays closed
    assert (one.upto, one.lost) == (21, 15)


@pytest.mark.parametrize("step", [2, 3])
async def test_more_gaps_than_are_kept_become_wider_and_nothing_is_forgotten(ledger: Ledger, step: int) -> None:
    one = await hear(ledger, *range(step, 3000, step))
    assert len(one.missing) == MOST_GAPS
    assert one.upto == 0
    really = {n for n in range(1, one.highest) if n % step}
    assert really <= {n for low, high in one.missing for n in range(low, high + 1)}
    assert (await hear(ledger, *range(1, one.highest))).missing == ()


async def test_any_order_comes_to_the_same(ledger: Ledger) -> None:
    """Against plain sets."""
    dice = random.Random(7)
    come: set[int] = set()
    for _ in range(40):
        batch = [dice.randrange(1, 120) for _ in range(dice.randrange(1, 6))]
        come |= set(batch)
        one = await hear(ledger, *batch)
        expected = set(range(1, max(come) + 1)) - come
        assert {n for low, high in one.missing for n in range(low, high + 1)} == expected
        assert one.upto == (min(expected) - 1 if expected else max(come))


async def test_progress_and_readings_are_one_transaction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails after the progress was written undoes it, and the other way round."""
    ledger = await new_ledger("sqlite", tmp_path)

    async def fails(*_: object) -> None:
        raise RuntimeError("no more")

    with monkeypatch.context() as patched:
        patched.setattr(counting, "settle", fails)
        with pytest.raises(RuntimeError, match="no more"):
            await ledger.append(Batch(readings=(reading(1, 1),), numbered=numbered(1)))
    with monkeypatch.context() as patched:
        patched.setattr(senders, "advanced", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            await ledger.append(Batch(readings=(reading(1, 1),), numbered=numbered(1)))
    assert await ledger.senders() == ()
    assert await standing(ledger) == []
    await ledger.close()
