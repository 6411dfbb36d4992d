"""One of a hundred meters on a bus babbles for a day of driven time: what the 99 others keep, with each protection and without.

The bus of `tests/flow/faults/babbler.py`.    python -m benchmarks.acquisition.babbling
"""

from __future__ import annotations

import argparse
from datetime import timedelta

from collector.acquisition.budget import Budget
from tests.flow.faults.babbler import BABBLER, OTHERS, TIMING, babble
from tests.flow.faults.one_bus import STRONG, Unprotected, Weak


def no_budget() -> Budget:
    """Everything may be spent in vain."""
    return Budget(share=1)


BUILT = {
    "as it is": STRONG,
    "budget alone": Weak(breakers=Unprotected),
    "breaker alone": Weak(budget=no_budget),
    "neither": Weak(budget=no_budget, breakers=Unprotected),
}


def main() -> None:
    """Run each, and print the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--hours", type=float, default=24.0)
    asked = options.parse_args()
    print(f"{asked.hours:g} h        slots of the 99   kept       of the bus in vain   wanted ≥ 99.9 %")
    for name, weak in BUILT.items():
        ran = babble(weak, timedelta(hours=asked.hours))
        kept, owed = ran.kept(OTHERS)
        questions = sum(unit == int(BABBLER[1:]) for _, unit in ran.asked)
        share = questions * TIMING.quarantine_s / (asked.hours * 3600)
        print(f"{name:14} {kept:6} of {owed:6}   {kept / owed:8.3%}   {share:8.1%}", flush=True)


if __name__ == "__main__":
    main()
