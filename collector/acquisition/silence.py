"""Why nothing comes over a line as a whole: what waited for its turn behind a dead concentrator is missing for that one's reason.

Since a line last brought anything: who was asked in vain on it. One medium that fails is enough; of silent meters there must be
several, for one of them says nothing about its neighbours. Pure, one for each line.
"""

from __future__ import annotations

from collector.acquisition.breaker import Trouble
from collector.acquisition.outcome import rule
from storage.records import Owner

METERS = 3
"""So many different ones in a row, and it is the line."""


class Silence:
    """Of one line."""

    def __init__(self) -> None:
        self._in_vain: dict[str, Trouble] = {}
        self._whole: Trouble | None = None

    def broken(self) -> None:
        """Something came."""
        self._in_vain.clear()
        self._whole = None

    def in_vain(self, meter: str, trouble: Trouble) -> None:
        """A meter was asked and gave nothing."""
        self._in_vain[meter] = trouble
        if len(self._in_vain) >= METERS or _medium(trouble):
            self._whole = trouble

    def trouble(self, meter: str) -> Trouble | None:
        """Why nothing can have come from this meter; None: the line works, as far as is known."""
        return self._in_vain.get(meter, self._whole)


def _medium(trouble: Trouble) -> bool:
    """No meter was reached at all."""
    return rule(trouble.reason).leave and trouble.owner in (Owner.OURS, Owner.TERMINAL, Owner.UPLINK)
