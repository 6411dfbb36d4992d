"""Does a profile read its own frames? The whole way of a reading, without a line and without a ledger.

Each register is asked for, and each `[[vector]]` is played: the profile makes the question (which must be the vector's, byte by
byte), the session judges the answer, the translator makes the readings (which must be the vector's, to the last digit).
A profile of a utility's own is proven by `chaobiao check` in the same way as the built-in ones by the tests.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from collector.normalise.translate import Translation, translate
from protocols.dialect import Dialect, Exchange, Wanted
from protocols.dialects import DIALECTS
from protocols.errors import ProfileError, ProtocolError, RequestError
from protocols.payload import read_message
from protocols.profile import Expected, Profile, Vector
from protocols.telegram import Garbage, Item, NeedMore, Request, Session, Telegram
from storage.days import from_local
from storage.records import Reading, Source
from storage.registry import Meter
from storage.values import from_millionths, to_text

Place = tuple[str | int, ...]
PUSHED = "mqtt-json"
RECEIVED = datetime(9000, 1, 1, tzinfo=UTC)
"""When the answers of a proof arrive: no stamp in a vector is ahead of it."""
ANY_ADDRESS = "1"
PREAMBLE = b"\xfe"
"""May stand before a DL/T 645 frame, in any number; no Modbus unit is 254."""
MOST_EVENTS = 1000


@dataclass(frozen=True, slots=True)
class Flaw:
    """Where in the profile, as a path of keys, and what is wrong there."""

    place: Place
    says: str


class _Unproven(Exception):
    """This vector does not do what it says."""


def prove(profile: Profile, zone: ZoneInfo) -> tuple[Flaw, ...]:
    """Everything in a profile that does not hold. `zone`: that of stamps without an offset."""
    flaws = list(_cannot_be_asked(profile))
    if flaws:
        return tuple(flaws)
    for number, vector in enumerate(profile.vector):
        try:
            made = _play(profile, vector, zone)
        except (_Unproven, ProtocolError, ProfileError, RequestError, ValueError) as error:
            flaws.append(Flaw(("vector", number), str(error)))
        else:
            flaws += (Flaw(("vector", number, "readings"), says) for says in _differences(vector, made, zone))
    return tuple(flaws)


def _cannot_be_asked(profile: Profile) -> Iterator[Flaw]:
    for dialect in DIALECTS.values():
        if dialect.family != profile.protocol:
            continue
        for number, register in enumerate(profile.registers):
            try:
                dialect.requests(profile, ANY_ADDRESS, [Wanted(register.quantity, register.basis)])
            except ProfileError as error:
                yield Flaw(("register", number), str(error).removeprefix(f"{profile.id}: "))
        try:
            dialect.identity(profile, ANY_ADDRESS)
        except ProfileError as error:
            yield Flaw(("identity",), str(error).removeprefix(f"{profile.id}: "))
        return  # one will do: what a profile says is said alike in every framing


def _play(profile: Profile, vector: Vector, zone: ZoneInfo) -> Translation:
    if vector.protocol == profile.protocol == PUSHED:
        (message,) = _frames(vector.answer)
        return _translated(profile, read_message(profile, message).items, zone)
    dialect = DIALECTS.get(vector.protocol)
    if dialect is None or dialect.family != profile.protocol:
        raise _Unproven(f"{vector.protocol!r} is no protocol by which {profile.id} is read")
    return _translated(profile, dialect.items(profile, _exchanges(profile, vector, dialect)), zone)


def _exchanges(profile: Profile, vector: Vector, dialect: Dialect) -> list[Exchange]:
    asked_for, answers = _frames(vector.request), _frames(vector.answer)
    compared = bool(asked_for)
    wanted = [Wanted(expected.quantity, expected.basis) for expected in vector.readings]
    session = dialect.session()
    exchanges = []
    for request in dialect.requests(profile, _address_in(dialect, answers[0]), wanted):
        telegrams: list[Telegram] = []
        asked: Request | None = request
        while asked is not None:
            question = session.send(asked)
            if compared and (not asked_for or asked_for.pop(0).lstrip(PREAMBLE) != question.lstrip(PREAMBLE)):
                raise _Unproven(
                    f"for these readings the profile asks {question.hex(' ')}, and the vector's request is another"
                )
            if not answers:
                raise _Unproven(f"there is no answer to {question.hex(' ')}")
            telegrams.append(_answer(session, answers.pop(0), question))
            asked = dialect.follow_up(asked, telegrams)
        exchanges.append(Exchange(request, tuple(telegrams)))
    if asked_for or answers:
        raise _Unproven("there are more frames than these readings need")
    return exchanges


def _answer(session: Session, answer: bytes, question: bytes) -> Telegram:
    session.receive(answer)
    found = list(_events(session))
    session.idle()
    found += _events(session)
    match found:
        case [Telegram() as telegram]:
            return telegram
        case [*_, Garbage(error=error)]:
            raise _Unproven(f"the answer to {question.hex(' ')}: {error.code}: {error.detail}")
        case _:
            raise _Unproven(f"the answer to {question.hex(' ')} is no whole frame")


def _events(session: Session) -> Iterator[Garbage | Telegram]:
    for _ in range(MOST_EVENTS):
        event = session.next_event()
        if isinstance(event, NeedMore):
            return
        yield event


def _address_in(dialect: Dialect, frame: bytes) -> str:
    for decoded in dialect.decode(frame):
        match decoded.event:
            case Telegram(address=address):
                return address
            case Garbage(error=error):
                raise _Unproven(f"the answer is no good frame: {error.code}: {error.detail}")
    raise _Unproven("the answer is no frame")


def _translated(profile: Profile, items: Iterable[Item], zone: ZoneInfo) -> Translation:
    meter = Meter("proof", profile.id, "", ANY_ADDRESS)
    return translate(items, profile=profile, meter=meter, zone=zone, source=Source.POLL, received_at=RECEIVED)


def _differences(vector: Vector, made: Translation, zone: ZoneInfo) -> Iterator[str]:
    readings = {(one.quantity, str(one.basis)): one for one in made.readings}
    reasons = {one.quantity: one.reason for one in made.rejects}
    for expected in vector.readings:
        name = f"{expected.quantity} ({expected.basis})"
        reading = readings.get((expected.quantity, expected.basis))
        reason = reasons.get(expected.quantity, "nothing")
        if expected.value is None:
            if reading is not None:
                yield f"{name} is {to_text(reading.value, reading.resolution)}, and the vector says it is none"
            elif expected.reason != reason:
                yield f"{name} is none for the reason {reason}, the vector says {expected.reason or 'none'}"
        elif reading is None:
            yield f"{name} gives {reason}, the vector says {expected.value}"
        else:
            yield from _differs(name, expected, reading, zone)


def _differs(name: str, expected: Expected, reading: Reading, zone: ZoneInfo) -> Iterator[str]:
    if from_millionths(reading.value) != expected.value:
        yield f"{name} is {to_text(reading.value, reading.resolution)}, the vector says {expected.value}"
    if expected.time is not None and from_local(datetime.fromisoformat(expected.time), zone) != reading.time:
        yield f"{name} is of {reading.time.isoformat()}, the vector says {expected.time}"


def _frames(written: tuple[str, ...] | str) -> list[bytes]:
    return [bytes.fromhex(one) for one in ((written,) if isinstance(written, str) else written)]
