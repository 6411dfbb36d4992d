"""What the collector can fail at. Storage and protocols have roots of their own; `cli` turns all three into one sentence.

CollectorError               the root; `exit_status` is what the process ends with
├── SettingsError            2: configuration or registry file; one line a mistake, each with file, line and key
├── UsageError               2: a wrong argument
├── LinkError                no answer from the medium: `reason` and `owner` as in `report missing`
└── WorkFailed               1: the work failed in part; says what
"""

from __future__ import annotations

from typing import ClassVar

from storage.records import Owner


class CollectorError(Exception):
    """The collector cannot go on with this."""

    exit_status: ClassVar[int] = 1


class SettingsError(CollectorError):
    """The configuration cannot be used."""

    exit_status = 2

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class UsageError(CollectorError):
    """This argument cannot be used."""

    exit_status = 2


class WorkFailed(CollectorError):
    """Part of the work failed."""


class LinkError(CollectorError):
    """The medium does not carry: connection refused, lost, port held by another."""

    def __init__(self, reason: str, owner: Owner, detail: str) -> None:
        self.reason = reason
        self.owner = owner
        self.detail = detail
        super().__init__(detail)
