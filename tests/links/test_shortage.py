"""Want of file descriptors: said once, spared by nobody, and known where the error does not say so."""

from __future__ import annotations

import asyncio
import resource
from datetime import UTC, datetime

import pytest

from collector.acquisition.outcome import rule
from collector.acquisition.shortage import TOO_MANY_FILES, Shortage, is_short, none_left
from collector.acquisition.spared_link import SparedLink
from collector.acquisition.tcp_link import TcpLink
from collector.errors import LinkError
from storage.records import Attempt, Owner
from tests.flow.daemons import closed_port


def tried(channel: str, outcome: str) -> Attempt:
    now = datetime(2026, 3, 15, tzinfo=UTC)
    return Attempt(
        meter="m1",
        channel=channel,
        plan="often",
        started_at=now,
        duration_us=1,
        outcome=outcome,
        owner=None if outcome == "ok" else rule(outcome).owner,
        detail="",
        sent=b"",
        received=b"",
        drained=0,
    )


def test_it_is_said_when_it_begins_and_when_it_is_over() -> None:
    shortage = Shortage()
    told = [
        shortage.met([tried(channel, outcome)])
        for channel, outcome in [
            ("a", "ok"),
            ("a", TOO_MANY_FILES),
            ("b", TOO_MANY_FILES),
            ("a", TOO_MANY_FILES),
            ("c", "ok"),
            ("a", "no_answer"),  # it could be asked
            ("b", "ok"),
            ("b", "ok"),
        ]
    ]
    assert [bool(one) for one in told] == [False, True, False, False, False, False, True, False]
    assert "too many open files" in str(told[1])
    assert "2 channels" in str(told[6])


def test_what_asyncio_makes_of_several_addresses() -> None:
    assert is_short(OSError("Multiple exceptions: [Errno 24] Too many open files, [Errno 24] Too many open files"))
    assert not is_short(OSError("Multiple exceptions: [Errno 111] Connect call failed"))


async def test_no_descriptor_is_ours_and_tried_again_at_once() -> None:
    """Also for a name, whose resolver only says that it does not know it."""
    port = closed_port()
    links = [SparedLink(TcpLink(host, port)) for host in ("127.0.0.1", "localhost", "name.invalid")]
    deadline = asyncio.get_running_loop().time() + 30
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))  # those that are open stay
    try:
        assert none_left()
        for link in links * 2:
            with pytest.raises(LinkError) as caught:
                await link.open(deadline)
            assert (caught.value.reason, caught.value.owner) == (TOO_MANY_FILES, Owner.OURS)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert not none_left()
    with pytest.raises(LinkError) as caught:
        await links[0].open(deadline)
    assert caught.value.reason == "connection_refused"
    assert "tried again in" not in caught.value.detail
