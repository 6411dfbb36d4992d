"""What can be wrong with bytes from outside, or with the data files that describe them.

    ProtocolsError                       the root: nothing else leaves this package
    ├── ProtocolError                    bytes from outside are not what they should be (never ours)
    │   ├── BadChecksum                  bad_checksum
    │   ├── WrongLength                  wrong_length
    │   ├── WrongFunction                wrong_function
    │   ├── WrongUnit                    wrong_unit
    │   ├── WrongTransaction             wrong_transaction
    │   ├── ForeignAddress               foreign_address
    │   ├── WrongIdentifier              wrong_identifier
    │   ├── BadDigits                    bad_digits
    │   ├── UnexpectedBytes              unexpected_bytes
    │   ├── BadPayload                   bad_payload
    │   └── Refused                      refused, exception_2, gateway_no_answer: a well-formed "no"
    ├── RequestError                     ours: a request the protocol cannot express
    ├── ObisError                        ours: no OBIS code
    ├── TomlProblem                      ours: a file that cannot be read, is no TOML or of a newer format; names file and line
    └── ProfileError                     ours: a profile or other data file that contradicts itself; names file, line and key

`reason` is the code that reports, counters and `report missing` use (DESIGN §7); `data` are the offending bytes and
`position` the offset in them at which the trouble was seen.
"""

from __future__ import annotations

from typing import ClassVar


class ProtocolsError(Exception):
    """Something is wrong with a frame, a request or a data file."""


class ProtocolError(ProtocolsError):
    """These bytes do not say anything that can be believed."""

    reason: ClassVar[str] = "protocol_error"

    def __init__(self, detail: str = "", *, data: bytes = b"", position: int = 0) -> None:
        self.detail = detail or (type(self).__doc__ or "").rstrip(".")
        self.data = bytes(data)
        self.position = position
        super().__init__(self.detail)

    @property
    def code(self) -> str:
        """The reason code; a refusal's depends on what the device said."""
        return self.reason

    def __str__(self) -> str:
        if not self.data:
            return self.detail
        shown = self.data[:64].hex(" ")
        more = f" … ({len(self.data)} bytes)" if len(self.data) > 64 else ""
        return f"{self.detail} at byte {self.position} of {shown}{more}"


class BadChecksum(ProtocolError):
    """The checksum does not fit the frame."""

    reason = "bad_checksum"


class WrongLength(ProtocolError):
    """The frame or a value in it is longer or shorter than it may be."""

    reason = "wrong_length"


class WrongFunction(ProtocolError):
    """The answer carries another function than the request."""

    reason = "wrong_function"


class WrongUnit(ProtocolError):
    """The answer comes from another unit than the one asked."""

    reason = "wrong_unit"


class WrongTransaction(ProtocolError):
    """The answer belongs to another transaction."""

    reason = "wrong_transaction"


class ForeignAddress(ProtocolError):
    """The answer comes from another meter's address."""

    reason = "foreign_address"


class WrongIdentifier(ProtocolError):
    """The answer is about another data identifier than the one asked for."""

    reason = "wrong_identifier"


class BadDigits(ProtocolError):
    """A field that must hold decimal digits holds something else."""

    reason = "bad_digits"


class UnexpectedBytes(ProtocolError):
    """Bytes that begin no frame."""

    reason = "unexpected_bytes"


class BadPayload(ProtocolError):
    """The payload does not follow its profile."""

    reason = "bad_payload"


class Refused(ProtocolError):
    """The device answered, and its answer is a refusal."""

    reason = "refused"

    def __init__(self, detail: str = "", *, code: str = "refused", data: bytes = b"", position: int = 0) -> None:
        super().__init__(detail, data=data, position=position)
        self._code = code

    @property
    def code(self) -> str:
        """`exception_2`, `gateway_no_answer` … for Modbus; `refused` where the protocol has one kind of no."""
        return self._code


class RequestError(ProtocolsError):
    """The request cannot be put into a frame of this protocol."""


class ObisError(ProtocolsError):
    """This is no OBIS code."""


class TomlProblem(ProtocolsError):
    """The file is no TOML, cannot be read, or is of a newer format."""


class ProfileError(ProtocolsError):
    """A data file contradicts itself; the message names file, line and key."""
