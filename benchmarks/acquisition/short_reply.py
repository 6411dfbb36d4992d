"""One unit of twenty answers a register short, in order otherwise: how many readings of the others are delivered.

The whole product on one gateway, Modbus RTU over TCP.    python -m benchmarks.acquisition.short_reply
"""

from __future__ import annotations

from benchmarks.acquisition.product import run
from benchmarks.acquisition.rtu_gateway import Behaviour

UNITS, BAD = 20, 7


def main() -> None:
    """Measure, and print the table."""
    print(f"{UNITS} units, two questions each every 10 s; wanted: 100 % of the readings of the others")
    for bad in (0, BAD):
        behaviour = Behaviour(reply_s=0.03, short=bad)
        found = run(behaviour, units=UNITS, quantities=2, every="10s", seconds=75, timeout_s=0.2, settle_s=0)
        due = sum(count for unit, count in found.due.items() if unit != bad)
        filled = sum(count for unit, count in found.filled.items() if unit != bad)
        told = f"unit {bad} a register short" if bad else "nothing wrong"
        share = filled / due if due else 0.0
        print(f"{told:26} the others: {filled} of {due} slots, {share:.1%}; {found.wrong} wrong values")


if __name__ == "__main__":
    main()
