"""Run as a process of its own by test_kill: stores, judges and hands over until it is killed; says what was receipted.

python appender.py FILE FIRST      prints `stored N`, `promised N`, `written N`, each after the ledger said so
"""

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from storage.engine import open_ledger
from storage.ledger.port import Ledger
from storage.records import Batch
from tests.ledger.ledgers import at, deliver, missing, reading, row, slot, verify

READINGS = 5
"""In a batch: batch n reads hour n of each of these meters."""
METERS = tuple(f"m{number}" for number in range(READINGS))


def batch(number: int) -> Batch:
    """All that batch n brings: a value for each meter but the last, which is missing, and the value missing before."""
    late = reading(number - 1, number - 1, METERS[-1], fills=slot(number - 1, METERS[-1]))
    return Batch(
        readings=(*(reading(number, number, meter, fills=slot(number, meter)) for meter in METERS[:-1]), late),
        missing=(missing(slot(number, METERS[-1])),),
    )


def say(what: str, number: int) -> None:
    """To whoever waits for it, at once."""
    sys.stdout.write(f"{what} {number}\n")
    sys.stdout.flush()


async def work(ledger: Ledger, first: int) -> None:
    """Until killed."""
    await ledger.import_registry([row(meter) for meter in METERS], digest="d", at=at(0))
    for promised in await ledger.deliveries():  # as the job does: what was promised is written before anything new
        await ledger.delivery_written(promised.batch_seq)
    number = first
    while True:
        await ledger.append(batch(number))
        say("stored", number)
        if number % 7 == 3:
            await verify(ledger)
            if rows := await deliver(ledger):
                say("promised", rows[-1].seq)
                last = (await ledger.deliveries())[-1]
                await ledger.delivery_written(last.batch_seq)
                say("written", last.batch_seq)
        number += 1


async def main(path: str, first: int) -> None:
    """Open (the first one makes it) and work."""
    await work(await open_ledger(f"sqlite:///{path}", create=True), first)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
