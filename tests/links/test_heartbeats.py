"""Heartbeats are swallowed between frames, however the network cuts them, and never out of a frame."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.acquisition.heartbeats import Heartbeats
from tests.links.late_device import crc

QUESTION = b"\x01\x04\x00\x00\x00\x02" + crc(b"\x01\x04\x00\x00\x00\x02")
ANSWER = b"\x01\x04\x04beat" + crc(b"\x01\x04\x04beat")  # the heartbeat's own bytes as a value


@given(
    before=st.integers(0, 3),
    after=st.integers(0, 3),
    word=st.sampled_from([b"beat", b"\xfe", b"\x00", b"\x02\x04", b"@", b"\x68\x01\x68\x16"]),
    cuts=st.sets(st.integers(1, 40)),
)
def test_between_frames_and_nowhere_else(before: int, after: int, word: bytes, cuts: set[int]) -> None:
    hearts = Heartbeats(word)
    hearts.asked(QUESTION)
    stream = before * word + ANSWER
    marks = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    pieces = [stream[a:b] for a, b in pairwise(marks)]
    assert b"".join(map(hearts.swallow, pieces)) == ANSWER
    assert hearts.silence() == b""
    assert hearts.swallow(after * word) == b""
    hearts.unasked()
    assert hearts.swallow(after * word) == b""


@pytest.mark.parametrize("word", [b"\x01", b"\x01\x04", b"\x01\x84", b"\x01\x84\x02"])
def test_a_word_that_begins_like_an_answer_is_left_to_the_session(word: bytes) -> None:
    """Unit 1 and function 4, or their refusal: swallowed, the answer would be spoilt."""
    hearts = Heartbeats(word)
    hearts.asked(QUESTION)
    refusal = b"\x01\x84\x02" + crc(b"\x01\x84\x02")
    assert hearts.swallow(refusal) == refusal
    hearts.asked(QUESTION)
    assert hearts.swallow(ANSWER) == ANSWER
    hearts.unasked()
    assert hearts.swallow(word) == b"", "nobody was asked, so it is no answer"


def test_the_beginning_of_a_word_that_does_not_end_is_handed_on() -> None:
    hearts = Heartbeats(b"beat")
    hearts.asked(QUESTION)
    assert hearts.swallow(b"bea") == b""
    assert hearts.silence() == b"bea"
    hearts.asked(QUESTION)
    assert hearts.swallow(b"be") == b""
    assert hearts.swallow(b"ef") == b"beef"


def test_without_words_nothing_is_touched() -> None:
    hearts = Heartbeats(b"")
    hearts.asked(QUESTION)
    assert hearts.swallow(ANSWER) == ANSWER


def test_a_heartbeat_that_came_in_two_around_a_question() -> None:
    hearts = Heartbeats(b"beat")
    hearts.unasked()
    assert hearts.swallow(b"be") == b""
    hearts.asked(QUESTION)
    assert hearts.swallow(b"at" + ANSWER) == ANSWER
