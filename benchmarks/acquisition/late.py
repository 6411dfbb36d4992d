"""2 % of Modbus RTU replies late by up to three time-outs: wrong values, and the rate against what the line allows.

What the line allows is the time that it needed: from each question to its answer, lateness included, and the turn-round before
the next. The whole product, asked for more than the line can do all the time.    python -m benchmarks.acquisition.late
"""

from __future__ import annotations

from benchmarks.acquisition.product import QUANTITIES, run
from benchmarks.acquisition.rtu_gateway import Behaviour
from collector.acquisition.timing import TURN_S

TIMEOUT_S = 0.2
WANTED = 0.9


def main() -> None:
    """Measure, and print the table."""
    print(f"2 % of replies {TIMEOUT_S:g} to {2.9 * TIMEOUT_S:.2g} s after their question, timeout {TIMEOUT_S:g} s")
    for units, share in ((1, 0.0), (1, 0.02), (20, 0.02)):
        behaviour = Behaviour(
            reply_s=0.08, late=share, late_s=(TIMEOUT_S, 2.9 * TIMEOUT_S), late_units=frozenset(range(1, units + 1))
        )
        quantities = len(QUANTITIES) if units == 1 else 2
        found = run(
            behaviour, units=units, quantities=quantities, every="1s", seconds=40, timeout_s=TIMEOUT_S, settle_s=5
        )
        account = found.account
        allowed_s = account.needed_s + account.questions * TURN_S
        rate = allowed_s / (account.last_at - account.first_at)
        print(
            f"{units:2} units, {share:4.0%} late: {account.questions} questions, {account.late} late, "
            f"{found.readings} readings, {found.wrong} wrong; rate {rate:.3f} of what the line allows (wanted ≥ {WANTED:g})"
        )


if __name__ == "__main__":
    main()
