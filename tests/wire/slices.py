"""The ways in which the same bytes may reach a session, and what it made of them."""

from collections.abc import Callable, Iterator

from protocols.telegram import Garbage, NeedMore, Session, Telegram

Said = list[Garbage | Telegram]
Feed = Callable[[Session, bytes], Said]

PATIENCE = 5000
"""Events in a row after which a session is taken to be stuck."""


def events(session: Session) -> Said:
    """All that the session has to say now."""
    found: Said = []
    while not isinstance(event := session.next_event(), NeedMore):
        found.append(event)
        assert len(found) < PATIENCE, "the session never comes to an end"
    return found


def whole(session: Session, data: bytes) -> Said:
    """At once."""
    session.receive(data)
    return events(session)


def bytewise(session: Session, data: bytes) -> Said:
    """Each byte alone."""
    return pieces(session, (data[place : place + 1] for place in range(len(data))))


def pieces(session: Session, parts: Iterator[bytes]) -> Said:
    """Part by part, asking after each."""
    return [event for part in parts for event in whole(session, part)]


def to_the_end(session: Session, data: bytes, feed: Feed) -> Said:
    """With the silence that follows."""
    found = feed(session, data)
    session.idle()
    return found + events(session)


def merged(found: Said) -> list[tuple[str, bytes]]:
    """What was said of which bytes: neighbours of the same verdict are one."""
    verdicts: list[tuple[str, bytes]] = []
    for event in found:
        verdict, data = ("telegram", event.frame) if isinstance(event, Telegram) else (event.error.code, event.data)
        if verdicts and verdicts[-1][0] == verdict != "telegram":
            data = verdicts.pop()[1] + data
        verdicts.append((verdict, data))
    return verdicts
