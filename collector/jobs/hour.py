"""What the last hour came to, in one line of the log: a daemon that is well should not be mute, and one that is not should
say which meters. The figures themselves are in the ledger (`report`); this is forgotten every hour.
"""

from __future__ import annotations

from datetime import datetime, timedelta

HOUR = timedelta(hours=1)
NAMED = 5
"""Silent meters that are named; of more, only how many."""


class Hour:
    """Counts what is visited and pushed, by meter only as far as the silent ones need it."""

    def __init__(self, now: datetime) -> None:
        self._begin(now)

    def _begin(self, now: datetime) -> None:
        self._since = now
        self._values = 0
        self._answered: set[str] = set()
        self._silent: set[str] = set()
        self._pushed = 0

    def visited(self, meter: str, *, values: int) -> None:
        """A meter was asked and gave so many values."""
        self._values += values
        if values:
            self._answered.add(meter)
            self._silent.discard(meter)
        elif meter not in self._answered:
            self._silent.add(meter)

    def pushed(self, values: int) -> None:
        """So many values came by themselves."""
        self._pushed += values

    def over(self, now: datetime) -> str:
        """One line when an hour is over, "" before; then the next one begins."""
        if now - self._since < HOUR:
            return ""
        says = f"in the last hour: {self._values} values read from {len(self._answered)} meters"
        if self._pushed:
            says += f", {self._pushed} pushed"
        if self._silent:
            named = ", ".join(sorted(self._silent)[:NAMED])
            more = f" and {len(self._silent) - NAMED} more" if len(self._silent) > NAMED else ""
            says += f"; {len(self._silent)} gave nothing: {named}{more}"
        self._begin(now)
        return says
