"""The table of protocols: what a channel's `protocol` may say. One line each; nothing else knows them all."""

from __future__ import annotations

from protocols.dialect import Dialect

DIALECTS: dict[str, Dialect] = {}
