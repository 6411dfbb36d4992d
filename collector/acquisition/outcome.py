"""Reason → whose fault it is, and what follows from it. One table, so that a rate on the console means the same everywhere.

The owner is what one try can know. That a whole box is silent because it has no power, or that a meter alone is silent on a
line that works, is seen only from many tries and is not decided here.
"""

from __future__ import annotations

from dataclasses import dataclass

from storage.records import Owner

OK = "ok"
PAUSED = "paused"
"""Nobody asked, on purpose."""


@dataclass(frozen=True, slots=True)
class Rule:
    """`again`: another try at once may bring it. `leave`: after the last try this meter is asked no more in this visit.

    `alive`: it is the meter itself that says so. `cheap`: no time-out has passed, and the connection is a new one.
    """

    owner: Owner
    again: bool = False
    leave: bool = False
    alive: bool = False
    cheap: bool = False

    @property
    def in_vain(self) -> bool:
        """Nothing that this meter said could be used; a dead medium is not its fault, and a refusal is an answer."""
        return self.again and not self.alive and self.owner in (Owner.LINE, Owner.METER)


OUTCOMES: dict[str, Rule] = {
    # the medium
    "connection_refused": Rule(Owner.TERMINAL, leave=True),
    "connection_timeout": Rule(Owner.UPLINK, leave=True),
    "connection_lost": Rule(Owner.UPLINK, again=True, leave=True, cheap=True),
    "not_online": Rule(Owner.UPLINK, leave=True),
    "unreachable": Rule(Owner.UPLINK, leave=True),
    "unknown_host": Rule(Owner.OURS, leave=True),
    "no_such_port": Rule(Owner.OURS, leave=True),
    "port_in_use": Rule(Owner.OURS, leave=True),
    "no_permission": Rule(Owner.OURS, leave=True),
    "port_failed": Rule(Owner.OURS, leave=True),
    "too_many_files": Rule(Owner.OURS, leave=True),
    # the line
    "no_answer": Rule(Owner.LINE, again=True, leave=True),
    "line_not_silent": Rule(Owner.LINE, again=True, leave=True),
    "bad_checksum": Rule(Owner.LINE, again=True),
    "unexpected_bytes": Rule(Owner.LINE, again=True),
    # somebody else answers, or an answer that is late
    "wrong_unit": Rule(Owner.LINE, again=True),
    "foreign_address": Rule(Owner.LINE, again=True),
    "wrong_transaction": Rule(Owner.LINE, again=True, cheap=True),
    # the meter answers what it was not asked
    "wrong_length": Rule(Owner.METER, again=True),
    "wrong_function": Rule(Owner.METER, again=True),
    "wrong_identifier": Rule(Owner.METER, again=True),
    "bad_digits": Rule(Owner.METER, again=True),
    "bad_payload": Rule(Owner.METER, again=True),
    "protocol_error": Rule(Owner.METER, again=True),
    "invalid_value": Rule(Owner.METER),
    # the meter says no: asking again is rude, and may lock it
    "refused": Rule(Owner.METER),
    # … but a gateway that says "busy" or "my meter is silent" reports what a try of our own would have seen
    "exception_5": Rule(Owner.METER, again=True, alive=True),
    "exception_6": Rule(Owner.METER, again=True, alive=True),
    "gateway_path_unavailable": Rule(Owner.TERMINAL, leave=True),
    "gateway_no_answer": Rule(Owner.LINE, again=True, leave=True),
    # what we were told about the meter is wrong
    "wrong_identity": Rule(Owner.REGISTRY, leave=True),
    "bad_address": Rule(Owner.REGISTRY, leave=True),
    "not_in_profile": Rule(Owner.REGISTRY),
    "no_channel": Rule(Owner.REGISTRY),
    # the meter answered, and what was owed is not among what it said
    "no_value": Rule(Owner.METER),
    "no_freeze": Rule(Owner.METER),
    "no_record": Rule(Owner.METER),
    "no_settlement": Rule(Owner.METER),
    "ambiguous_settlement": Rule(Owner.METER),
    "no_time_stamp": Rule(Owner.METER),
    "freeze_moved": Rule(Owner.METER),
    "impossible_time": Rule(Owner.METER),
    "unknown": Rule(Owner.METER),
    # a meter that pushes did not
    "no_message": Rule(Owner.UPLINK),
    # ours
    "bad_request": Rule(Owner.OURS),
    "window_closed": Rule(Owner.OURS),
    PAUSED: Rule(Owner.OURS),
    "overwritten": Rule(Owner.OURS),
    # nobody's
    "no_supply": Rule(Owner.SUPPLY),
}

_EXCEPTION = Rule(Owner.METER)
_UNKNOWN = Rule(Owner.OURS)
"""A reason that this table does not know is our own omission until somebody says whose it is."""


def rule(reason: str) -> Rule:
    """The line of the table for a reason; any other `exception_…` is a refusal by the meter."""
    found = OUTCOMES.get(reason)
    if found is not None:
        return found
    return _EXCEPTION if reason.startswith("exception_") else _UNKNOWN
