"""Every profile's own frames, through its own dialect: the request it makes is the one that was sent, and the answer gives
the readings that the profile expects, scaled and rounded to the register's resolution."""

from decimal import ROUND_HALF_EVEN, Context, Decimal

import pytest

from protocols.dialect import Dialect, Exchange, Wanted
from protocols.dialects import DIALECTS
from protocols.profile import Profile, Vector, builtin_profiles
from protocols.telegram import Item, Request, Telegram
from tests.wire.slices import events

EXACT = Context(prec=200)


# A push (`mqtt-json`) is not asked, has no dialect, and its own test.
POLLED = [
    (profile, vector)
    for profile in builtin_profiles().values()
    for vector in profile.vector
    if vector.protocol in DIALECTS
]


def name(case: Profile | Vector) -> str:
    return case.id if isinstance(case, Profile) else case.source[:48]


def frames(written: tuple[str, ...] | str) -> list[bytes]:
    return [bytes.fromhex(one) for one in ((written,) if isinstance(written, str) else written)]


def address_in(dialect: Dialect, frame: bytes) -> str:
    """Whose frame it is."""
    addresses = [one.event.address for one in dialect.decode(frame) if isinstance(one.event, Telegram)]
    assert len(addresses) == 1
    return addresses[0]


def bare(frame: bytes) -> bytes:
    """Without the FE that may wake a DL/T 645 meter; no Modbus unit is 254."""
    return frame.lstrip(b"\xfe")


def replay(profile: Profile, vector: Vector) -> tuple[Item, ...]:
    """Ask for what the vector expects, check each request's bytes where the vector has them, feed each answer."""
    dialect = DIALECTS[vector.protocol]
    assert dialect.family == profile.protocol
    sent, answers = frames(vector.request), frames(vector.answer)
    compared = bool(sent)
    wanted = [Wanted(expected.quantity, expected.basis) for expected in vector.readings]
    session = dialect.session()
    exchanges = []
    for request in dialect.requests(profile, address_in(dialect, (sent or answers)[0]), wanted):
        telegrams: list[Telegram] = []
        asked: Request | None = request
        while asked is not None:
            question = session.send(asked)
            assert not compared or bare(question) == bare(sent.pop(0))
            session.receive(answers.pop(0))
            found = events(session)
            assert [type(event) for event in found] == [Telegram], found
            telegrams += [event for event in found if isinstance(event, Telegram)]
            asked = dialect.follow_up(asked, telegrams)
        exchanges.append(Exchange(request, tuple(telegrams)))
    assert not sent
    assert not answers
    return dialect.items(profile, exchanges)


def rounded(item: Item, profile: Profile) -> Decimal | None:
    """As normalise rounds: scale, then half-even to the register's resolution."""
    register = profile.find(item.quantity or "", item.basis or "instant")
    assert register is not None, f"{item} is no register of {profile.id}"
    if item.value is None:
        return None
    steps = EXACT.divide(EXACT.multiply(Decimal(item.value), register.scale), register.resolution)
    return EXACT.multiply(steps.to_integral_value(ROUND_HALF_EVEN, EXACT), register.resolution)


@pytest.mark.parametrize(("profile", "vector"), POLLED, ids=name)
def test_vector(profile: Profile, vector: Vector) -> None:
    items = {(item.quantity, item.basis or "instant"): item for item in replay(profile, vector)}
    for expected in vector.readings:
        item = items[expected.quantity, expected.basis]
        assert rounded(item, profile) == expected.value
        assert item.reason == expected.reason


@pytest.mark.parametrize("profile", list(builtin_profiles().values()), ids=name)
def test_every_way_to_speak_has_a_vector(profile: Profile) -> None:
    ways = {dialect.name for dialect in DIALECTS.values() if dialect.family == profile.protocol}
    assert ways <= {vector.protocol for vector in profile.vector}
