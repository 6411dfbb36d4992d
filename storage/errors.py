"""What the ledger can refuse.

StorageError                 the root
├── ValueRefused             a value that millionths in 64 bits cannot hold exactly
├── DatabaseUnusable         cannot be opened, is none, or is of another schema; names the path or URL (without password)
├── DatabaseBusy             held by another process for longer than we wait
├── OfficeTaken              another process does already what only one may do
├── RegistryRefused          a registry change that contradicts what is there
├── VerdictRefused           a verdict out of order, or on a value that was never read
├── AuditRefused             an audit entry that is there already, or the end of a change that was never begun
├── OrderRefused             progress of an order that was never placed
└── DeliveryRefused          a delivery out of sequence, or one that differs from what was handed over before
"""

from __future__ import annotations


class StorageError(Exception):
    """The ledger cannot do this."""


class ValueRefused(StorageError):
    """The value cannot be held exactly."""


class DatabaseUnusable(StorageError):
    """The database cannot be used."""


class DatabaseBusy(StorageError):
    """The database is held by another process."""


class OfficeTaken(StorageError):
    """Another process does this already."""


class RegistryRefused(StorageError):
    """The registry contradicts itself."""


class VerdictRefused(StorageError):
    """The verdict does not follow the one before it."""


class AuditRefused(StorageError):
    """The audit cannot be written."""


class OrderRefused(StorageError):
    """There is no such order."""


class DeliveryRefused(StorageError):
    """The delivery does not follow the one before it."""
