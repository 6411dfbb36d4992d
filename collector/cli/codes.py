"""The codes that people see in tables: reasons, rules, owners, qualities and bases. In English a code is its own word, so
that what stands in a table is found in JSON, in the configuration and in docs; other languages have their own.

`say(code)` speaks them; they are listed here for the catalogue, and a test holds the lists against the tables they come from.
"""

from __future__ import annotations

from collector.words import mark

REASONS = (
    mark("ambiguous_settlement"),
    mark("bad_address"),
    mark("bad_checksum"),
    mark("bad_digits"),
    mark("bad_payload"),
    mark("bad_request"),
    mark("connection_lost"),
    mark("connection_refused"),
    mark("connection_timeout"),
    mark("exception_5"),
    mark("exception_6"),
    mark("foreign_address"),
    mark("freeze_moved"),
    mark("gateway_no_answer"),
    mark("gateway_path_unavailable"),
    mark("impossible_time"),
    mark("invalid_value"),
    mark("line_not_silent"),
    mark("no_answer"),
    mark("no_channel"),
    mark("no_freeze"),
    mark("no_message"),
    mark("no_permission"),
    mark("no_record"),
    mark("no_settlement"),
    mark("no_such_port"),
    mark("no_supply"),
    mark("no_time_stamp"),
    mark("no_value"),
    mark("not_in_profile"),
    mark("not_online"),
    mark("not_tried"),
    mark("not_yet"),
    mark("overwritten"),
    mark("paused"),
    mark("port_failed"),
    mark("port_in_use"),
    mark("protocol_error"),
    mark("refused"),
    mark("too_many_files"),
    mark("unexpected_bytes"),
    mark("unknown"),
    mark("unknown_host"),
    mark("unreachable"),
    mark("window_closed"),
    mark("wrong_function"),
    mark("wrong_identifier"),
    mark("wrong_identity"),
    mark("wrong_length"),
    mark("wrong_transaction"),
    mark("wrong_unit"),
)
RULES = (
    mark("conflict"),
    mark("out_of_range"),
    mark("register_decreased"),
    mark("clock"),
    mark("clock_changed"),
)
OWNERS = (
    mark("ours"),
    mark("uplink"),
    mark("terminal"),
    mark("line"),
    mark("meter"),
    mark("registry"),
    mark("supply"),
)
QUALITIES = (
    mark("raw"),
    mark("verified"),
    mark("accepted"),
    mark("suspect"),
    mark("estimated"),
    mark("edited"),
    mark("missing"),
)
BASES = (mark("instant"), mark("freeze"), mark("settlement"), mark("curve"))
CHANGES = (
    mark("recovered"),
    mark("newly_failed"),
    mark("newly_due"),
    mark("no_longer_due"),
    mark("suspended"),
    mark("resumed"),
)
METRICS = (
    mark("read"),
    mark("all_items"),
    mark("curve"),
    mark("reading_day"),
    mark("message"),
    mark("coverage"),
)
VERDICTS = (mark("right"), mark("off"), mark("far"), mark("faulty"))
"""Of clocks."""
REMEDIES = (mark("none"), mark("broadcast"), mark("set"), mark("visit"))
SETTINGS = (
    mark("sent"),
    mark("unchanged"),
    mark("wrong_password"),
    mark("password_rests"),
    mark("near_midnight"),
)
"""What can come of setting a clock, beside reasons."""
KINDS = (
    mark("power_down"),
    mark("cover_opened"),
    mark("terminals_opened"),
    mark("magnetic_field"),
    mark("phase_loss"),
    mark("reversed"),
    mark("relay_opened"),
    mark("relay_closed"),
)
"""Of events."""
