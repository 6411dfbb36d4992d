"""Orders on demand: taken once, ended once, taken up again after a crash but not for ever, and their progress."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from storage.engine import open_ledger
from storage.errors import OrderRefused
from storage.ledger.port import Ledger
from storage.orders import Order, OrderKind, OrderLine, OrderState
from tests.ledger.ledgers import at, new_ledger


def asked(id_: str = "o1", hour: int = 0, **facts: object) -> Order:
    return replace(
        Order(id_, OrderKind.READ, '{"meters": ["m1"]}', at(hour), "li@desk", at(hour + 1)),
        **facts,  # type: ignore[arg-type]
    )


def line(hour: int, order: str = "o1", meter: str = "m1") -> OrderLine:
    return OrderLine(order, at(hour), meter, "no_answer", "silent for 1 s", "{}")


async def test_an_order_waits_until_it_is_taken(ledger: Ledger) -> None:
    await ledger.place_order(asked())
    await ledger.place_order(asked(what="another text under the same id"))
    assert await ledger.open_orders() == (asked(),)
    assert await ledger.order("o1") == asked()
    assert await ledger.order("o2") is None


async def test_an_order_is_taken_once(ledger: Ledger) -> None:
    await ledger.place_order(asked())
    (taken,) = await ledger.take_orders(by="a", at=at(0, 7))
    assert taken == asked(state=OrderState.TAKEN, taken_at=at(0, 7), taken_by="a", times=1)
    assert await ledger.take_orders(by="b", at=at(0, 8)) == ()
    assert await ledger.open_orders() == (taken,)


async def test_the_oldest_comes_first(ledger: Ledger) -> None:
    for name in ("o3", "o1", "o2"):
        await ledger.place_order(asked(name))
    assert [one.id for one in await ledger.take_orders(by="a", at=at(0))] == ["o3", "o1", "o2"]


async def test_an_order_whose_deadline_is_over_is_not_taken(ledger: Ledger) -> None:
    await ledger.place_order(asked())
    assert await ledger.take_orders(by="a", at=at(1)) == ()
    assert await ledger.order("o1") == asked(state=OrderState.EXPIRED, ended_at=at(1))
    assert await ledger.open_orders() == ()


async def test_an_order_ends_once(ledger: Ledger) -> None:
    await ledger.place_order(asked())
    assert await ledger.end_order("o1", OrderState.WITHDRAWN, at=at(0, 5))
    assert not await ledger.end_order("o1", OrderState.DONE, at=at(0, 6), reason="no", detail="no")
    assert await ledger.order("o1") == asked(state=OrderState.WITHDRAWN, ended_at=at(0, 5))
    assert await ledger.take_orders(by="a", at=at(0, 7)) == ()
    assert not await ledger.end_order("o2", OrderState.DONE, at=at(0))


async def test_what_a_dead_collector_had_is_taken_up_again_but_not_for_ever(ledger: Ledger) -> None:
    await ledger.place_order(asked())
    await ledger.place_order(asked("o2"))
    await ledger.end_order("o2", OrderState.DONE, at=at(0))
    for times in (1, 2):
        (taken,) = await ledger.take_orders(by=f"daemon {times}", at=at(0))
        assert taken.times == times
        await ledger.reopen_orders(at=at(0), most=2)
    failed = await ledger.order("o1")
    assert failed is not None
    assert (failed.state, failed.reason) == (OrderState.FAILED, "interrupted")
    assert "taken 2 times" in failed.detail
    assert await ledger.open_orders() == ()
    done = await ledger.order("o2")
    assert done is not None
    assert done.state is OrderState.DONE


async def test_progress_is_followed_by_number(ledger: Ledger) -> None:
    await ledger.place_order(asked())
    await ledger.place_order(asked("o2"))
    await ledger.add_order_lines([line(1), line(1, "o2")])
    first = await ledger.order_lines("o1")
    assert [replace(one, n=0) for one in first] == [line(1)]
    await ledger.add_order_lines([line(2), line(2, meter="m2")])
    more = await ledger.order_lines("o1", after=first[-1].n)
    assert [replace(one, n=0) for one in more] == [line(2), line(2, meter="m2")]
    assert first[-1].n < more[0].n < more[1].n


async def test_progress_of_an_order_that_was_never_placed(ledger: Ledger) -> None:
    await ledger.place_order(asked())
    with pytest.raises(OrderRefused, match="there is no order o9"):
        await ledger.add_order_lines([line(1), line(1, "o9")])
    assert await ledger.order_lines("o1") == ()
    await ledger.add_order_lines([])


async def test_progress_of_long_ago_is_forgotten_the_order_is_not(ledger: Ledger) -> None:
    await ledger.place_order(asked())
    await ledger.place_order(asked("o2"))
    await ledger.add_order_lines([line(1), line(2), line(2, "o2")])
    await ledger.end_order("o1", OrderState.DONE, at=at(2))
    assert await ledger.forget_order_lines(at(2)) == 0
    assert await ledger.forget_order_lines(at(3)) == 2
    assert await ledger.order_lines("o1") == ()
    assert len(await ledger.order_lines("o2")) == 1
    assert await ledger.order("o1") is not None


async def test_two_collectors_that_take_at_once_share_and_never_double(tmp_path: Path) -> None:
    first = await new_ledger("sqlite", tmp_path)
    second = await open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}", create=False)
    for number in range(20):
        await first.place_order(asked(f"o{number:02}"))
    taken = await asyncio.gather(first.take_orders(by="a", at=at(0)), second.take_orders(by="b", at=at(0)))
    assert sorted(one.id for some in taken for one in some) == [f"o{number:02}" for number in range(20)]
    await first.close()
    await second.close()
