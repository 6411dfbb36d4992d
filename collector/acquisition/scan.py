"""Finding who is on a line: the port of a search, and the search by DL/T 645 wildcards. Sans-io and pure: what was heard in, what
to ask next out; `scanning` drives one over a line.

An address is shortened to its low digits by AA in the high bytes, and whoever has these digits answers. So the search goes down a
tree: all meters, those that end in 00 … 99, and below each that was heard two digits more, up to the whole address. What is heard
at one place of the tree is one of three:

    nobody      nothing: the place is done
    one         one meter's good answer, and nothing else: it is asked by its whole address, which proves it
    a crowd     several answers, or bytes that are none (they spoil each other's): the hundred places below are asked

One good answer is no proof that nobody else spoke: one transmitter can drown another. So below one answer is asked as well, until
`verify` digits are known.

Promise, as long as a collision is heard as anything but silence: of all meters that answer to shortened addresses each is found,
but for those that share their last `verify` digits with one that was found; with `verify` = 12 there are none of those. What is
asked with is a read, or *read address* where nobody answers to the read at the top; meters that know only the latter, among
others that are read, are promised nothing.

It asks at most 4 + 100 × (places with a crowd, or with somebody above the depth of `verify`) + 6 × (addresses heard) times; the
hundred are two where nobody below answers to the read, and each silent question is repeated for every retry.
"""

from __future__ import annotations

import heapq
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from protocols.dlt645.address import LENGTH
from protocols.dlt645.controls import READ, READ_ADDRESS
from protocols.telegram import Request

DIGITS = 2 * LENGTH
TOTAL = "00010000"
"""Import active energy: what every meter on DL/T 645 has."""
PLACES = 100
"""One byte in BCD."""
DISTURBANCES = 3
"""Noise is asked past this often where it is of no other use."""
MOST_STRANGERS = 100
"""A device that gives another address each time must not keep us for ever."""
DISTURBED, UNNAMED, LATE = "disturbed", "unnamed", "late"
UNDIVIDED, HEARD_ONLY, NO_SHORT = "undivided", "heard_only", "no_short"
"""Why somebody who was heard is not, or not surely, among the found: see the words of `collector/cli/scan.py`."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What came after one question. `addresses`: whose good answers came. `unnamed`: a good answer that does not say whose it is.
    `noise`: bytes that are none.
    """

    addresses: frozenset[str] = frozenset()
    unnamed: bool = False
    noise: bool = False

    @property
    def nobody(self) -> bool:
        """Silence."""
        return not (self.addresses or self.unnamed or self.noise)


NOBODY = Heard()
Asking = Generator[Request, Heard, Heard]


@dataclass(slots=True)
class Findings:
    """What is known so far; filled while the search goes on, so that it is good whenever the search is cut short."""

    found: list[str] = field(default_factory=list)
    unclear: dict[str, str] = field(default_factory=dict)
    """Address, or place of the tree → why."""
    one_for_all: bool = False
    """Every unit is answered for: one device that does not look at the unit (Modbus TCP)."""
    asked: int = 0
    ahead: int = 0
    """Questions that are known to come; more may follow from what is heard."""


class Search(Protocol):
    """Ask `question` until it is None, and say after each what was heard."""

    findings: Findings

    @property
    def question(self) -> Request | None:
        """What to ask now."""

    def take(self, heard: Heard) -> None:
        """What came."""


class Steps:
    """A search that is written as a generator: questions out, what was heard in."""

    def __init__(self, steps: Generator[Request, Heard, None], findings: Findings) -> None:
        self.findings = findings
        self._steps = steps
        self.question: Request | None = next(steps, None)

    def take(self, heard: Heard) -> None:
        """What came after `question`; the next one stands there afterwards."""
        self.findings.asked += 1
        try:
            self.question = self._steps.send(heard)
        except StopIteration:
            self.question = None
            self.findings.ahead = 0


def wildcard_search(*, verify: int = 4, retries: int = 0) -> Search:
    """All DL/T 645-2007 meters of a line. `verify`: digits, even; `retries`: of a question that nobody answered."""
    findings = Findings()
    return Steps(_Tree(findings, verify, retries).search(), findings)


@dataclass(frozen=True, slots=True)
class _Place:
    """A place of the tree at which somebody was heard. `named`: whose address proved to be one."""

    digits: str
    named: frozenset[str]
    crowd: bool


class _Tree:
    def __init__(self, findings: Findings, verify: int, retries: int) -> None:
        self._findings = findings
        self._verify = verify
        self._tries = 1 + retries
        self._ways: list[int] = []
        self._ghosts: set[str] = set()
        self._strangers: set[str] = set()
        self._open: list[tuple[bool, int, str, _Place]] = []
        """Crowds first, for there is more to find; then the higher places, where more can hide."""

    def search(self) -> Generator[Request, Heard, None]:
        """From the top down."""
        heard: list[Heard] = []
        for way in (READ, READ_ADDRESS) * 2:  # twice: a meter may sleep through the first question
            one = yield from self._ask("", way)
            if not one.nobody:
                self._ways.append(way)
                heard.append(one)
            if way == READ_ADDRESS and heard:
                break
        if not heard:
            return
        self._push((yield from self._weigh("", heard)))
        while self._open:
            yield from self._below(heapq.heappop(self._open)[-1])
        for address in sorted(self._strangers):
            yield from self._prove(address)

    def _below(self, place: _Place) -> Generator[Request, Heard, None]:
        """Ask the hundred places below one."""
        children: dict[str, _Place] = {}
        for way in self._ways:
            for number in range(PLACES):
                self._count(PLACES - number)
                child = yield from self._look(f"{number:02d}{place.digits}", way)
                if child is not None:
                    children[child.digits] = child
            if children:
                break
        for address in place.named:
            if address[-len(place.digits) - 2 :] not in children:
                self._findings.unclear[address] = NO_SHORT
        if place.crowd and not children:
            self._findings.unclear[_shown(place.digits)] = HEARD_ONLY
        if len(children) == PLACES and not any(child.named for child in children.values()):
            # Noise whatever is asked, or somebody who answers to anything: it would be the same below, and below that.
            self._findings.unclear[_shown(place.digits)] = UNDIVIDED
            return
        for child in children.values():
            self._push(child)

    def _look(self, digits: str, way: int) -> Generator[Request, Heard, _Place | None]:
        """Who is at one place; None: nobody."""
        heard = [(yield from self._ask(digits, way))]
        if heard[0].nobody:
            return None
        if heard[0].unnamed and not heard[0].addresses and way == READ and len(digits) < DIGITS:
            heard.append((yield from self._ask(digits, READ_ADDRESS)))
        return (yield from self._weigh(digits, heard))

    def _weigh(self, digits: str, heard: Sequence[Heard]) -> Generator[Request, Heard, _Place]:
        """Prove the addresses that were heard. One that nobody answers to was two answers that look like a third."""
        addresses = frozenset[str]().union(*(one.addresses for one in heard))
        noise = any(one.noise for one in heard)
        if len(digits) == DIGITS:
            if addresses:
                self._find(digits)
            elif digits not in self._findings.found:
                self._findings.unclear[digits] = DISTURBED if noise else UNNAMED
            return _Place(digits, addresses, crowd=False)
        named: set[str] = set()
        for address in sorted(addresses):
            if (yield from self._prove(address)):
                named.add(address)
        unnamed = not addresses and any(one.unnamed for one in heard)
        return _Place(digits, frozenset(named), crowd=noise or unnamed or len(addresses) > 1 or named != addresses)

    def _prove(self, address: str) -> Generator[Request, Heard, bool]:
        """Whether a meter answers to the whole address."""
        if address in self._findings.found:
            return True
        if address in self._ghosts:
            return False
        for way in (READ, READ_ADDRESS):
            if (yield from self._ask(address, way)).addresses:
                self._find(address)
                return True
        self._ghosts.add(address)
        return False

    def _ask(self, digits: str, way: int) -> Asking:
        """One question, again if nobody answers. Whoever has not these digits was late with another answer: he is remembered,
        and as he may have spoken into ours, it is asked again. So is a whole address that was answered with noise.
        """
        request = Request(_shown(digits), way, TOTAL if way == READ else "")
        heard = NOBODY
        silent = disturbed = 0
        while silent < self._tries and disturbed < DISTURBANCES:
            heard = yield request
            strangers = frozenset(one for one in heard.addresses if not one.endswith(digits))
            heard = replace(heard, addresses=heard.addresses - strangers)
            self._strangers |= strangers if len(self._strangers) < MOST_STRANGERS else frozenset()
            spoilt = heard.noise and not heard.addresses and len(digits) == DIGITS
            if spoilt or (strangers and heard.nobody):
                disturbed += 1
            elif heard.nobody:
                silent += 1
            else:
                break
        return heard

    def _find(self, address: str) -> None:
        if address not in self._findings.found:
            self._findings.found.append(address)
        self._findings.unclear.pop(address, None)

    def _push(self, place: _Place) -> None:
        depth = len(place.digits)
        if depth < DIGITS and (place.crowd or depth < max(self._verify, 2)):
            heapq.heappush(self._open, (not place.crowd, depth, place.digits, place))
            self._count(0)

    def _count(self, here: int) -> None:
        self._findings.ahead = (here + PLACES * len(self._open)) * self._tries


def _shown(digits: str) -> str:
    return digits.rjust(DIGITS, "A")
