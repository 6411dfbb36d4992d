"""What a modem says by itself, between the frames of the meters behind it: swallowed here, so that no session sees it.

Pure: bytes in, bytes out. Nothing here understands frames, so where one begins is known by what was done: a question was
sent, or the line was silent. From the first other byte on everything is an answer and is handed on as it is: a
heartbeat's bytes inside a frame are the frame's. An answer begins as its question did (Modbus: unit and function, or the
transaction; DL/T 645: its start), so words that begin like the question are not swallowed before an answer: where framing
needs silence the session finds its frame behind them all the same.
"""

from __future__ import annotations

REFUSAL = 0x80
"""Modbus sets it in the function of an answer that refuses."""


class Heartbeats:
    """The filter of one connection; `words` are what is swallowed, whole and any number of times."""

    def __init__(self, *words: bytes) -> None:
        self._words = tuple(sorted((word for word in words if word), key=len, reverse=True))
        self._held = b""  # the beginning of a word; it may also be that of an answer
        self._question = b""
        self._between = True

    def asked(self, question: bytes) -> None:
        """What comes now stands between frames until an answer begins."""
        self._question = question
        self._between = True

    def unasked(self) -> None:
        """Nobody waits for an answer: what comes stands between frames."""
        self._question = b""
        self._between = True

    def silence(self) -> bytes:
        """Nothing came for as long as somebody waited: what was held is no word. What comes next stands between frames."""
        held, self._held = self._held, b""
        self._between = True
        return held

    def swallow(self, data: bytes) -> bytes:
        """What is left of bytes that have come."""
        if not self._between:
            return data
        rest = self._held + data
        self._held = b""
        words = [word for word in self._words if not self._like_an_answer(word)]
        while rest:
            word = next((word for word in words if rest.startswith(word)), None)
            if word is None:
                break
            rest = rest[len(word) :]
        if any(word.startswith(rest) for word in words):
            self._held = rest
            return b""
        self._between = False
        return rest

    def _like_an_answer(self, word: bytes) -> bool:
        if not self._question or word[0] != self._question[0]:
            return False
        return not any((ours ^ its) & ~REFUSAL for ours, its in zip(self._question[1:2], word[1:2], strict=False))
