"""RFC 2217, Telnet Com Port Control, as its client speaks it: the serial line of somebody else's computer, set from here.

Pure: bytes in, bytes out, what is to be sent collected in `outgoing`. Telnet has one escape byte, 0xFF, which stands doubled
where it is meant; everything after a single one is talk between the two Telnets (RFC 854, 855). Invariant: what `receive`
returns is what was on the serial line, byte for byte, wherever the network cut it.
"""

from __future__ import annotations

from collections.abc import Callable

from collector.settings.link_url import SerialLine

IAC, DONT, DO, WONT, WILL, SB, SE = 255, 254, 253, 252, 251, 250, 240
BINARY, NO_GO_AHEAD, COM_PORT = 0, 3, 44
"""Telnet options: RFC 856, RFC 858, RFC 2217 §2."""
SET_BAUDRATE, SET_DATASIZE, SET_PARITY, SET_STOPSIZE, SET_CONTROL = 1, 2, 3, 4, 5
SUSPEND, RESUME, PURGE_DATA = 8, 9, 12
SERVER = 100
"""A server's commands are a client's and a hundred (RFC 2217 §3)."""
NO_FLOW_CONTROL, PURGE_BOTH = 1, 3

PARITIES = {"N": 1, "O": 2, "E": 3, "M": 4, "S": 5}
STOP_BITS = {"1": 1, "2": 2, "1.5": 3}
NAMES = {SET_BAUDRATE: "baudrate", SET_DATASIZE: "bytesize", SET_PARITY: "parity", SET_STOPSIZE: "stopbits"}

LONGEST_TALK = 256
"""Of one subnegotiation; those of RFC 2217 have at most a signature's text. What is longer is cut, not kept."""


class ComPort:
    """One connection. `ready` once the server has said of each setting that it is as wanted; else `refusal` says why not."""

    def __init__(self, line: SerialLine) -> None:
        self.outgoing = bytearray()
        self.refusal = ""
        self.suspended = False
        """The server's buffer is full: nothing may be sent."""
        self._settings = {
            SET_BAUDRATE: line.baudrate.to_bytes(4, "big"),
            SET_DATASIZE: bytes([line.bytesize]),
            SET_PARITY: bytes([PARITIES[line.parity]]),
            SET_STOPSIZE: bytes([STOP_BITS[line.stopbits]]),
        }
        self._open = dict(self._settings)  # not yet answered
        self._asked = False
        self._said: set[tuple[int, int]] = set()
        self._state: Callable[[int], None] = self._data
        self._verb = 0
        self._talk = bytearray()
        self._text = bytearray()
        for verb, option in ((WILL, COM_PORT), (WILL, BINARY), (DO, BINARY), (WILL, NO_GO_AHEAD), (DO, NO_GO_AHEAD)):
            self._say(verb, option)

    @property
    def ready(self) -> bool:
        """The line is set as wanted."""
        return self._asked and not self._open and not self.refusal

    @staticmethod
    def encode(data: bytes) -> bytes:
        """Bytes for the serial line, as they are sent."""
        return data.replace(b"\xff", b"\xff\xff")

    def receive(self, data: bytes) -> bytes:
        """What of these bytes came from the serial line."""
        for byte in data:
            self._state(byte)
        text = bytes(self._text)
        self._text.clear()
        return text

    def _data(self, byte: int) -> None:
        if byte == IAC:
            self._state = self._command
        else:
            self._text.append(byte)

    def _command(self, byte: int) -> None:
        self._state = self._data
        if byte == IAC:
            self._text.append(byte)
        elif byte in (WILL, WONT, DO, DONT):
            self._verb, self._state = byte, self._option
        elif byte == SB:
            self._talk.clear()
            self._state = self._inside

    def _option(self, option: int) -> None:
        self._state = self._data
        known = option in (BINARY, NO_GO_AHEAD, COM_PORT)
        if self._verb == DO:
            self._say(WILL if known else WONT, option)
            if option == COM_PORT:
                self._ask()
        elif self._verb == WILL:
            self._say(DO if known else DONT, option)
        elif option == COM_PORT and not self._asked and self._verb == DONT:
            self.refusal = "it lets nobody set its serial line (it refuses RFC 2217)"

    def _inside(self, byte: int) -> None:
        if byte == IAC:
            self._state = self._inside_command
        elif len(self._talk) < LONGEST_TALK:
            self._talk.append(byte)

    def _inside_command(self, byte: int) -> None:
        if byte == IAC:
            self._state = self._inside
            self._talk.append(byte)
        else:  # SE; whatever else stands there, the talk is over
            self._state = self._data
            if byte == SE and self._talk[:1] == bytes([COM_PORT]):
                self._told(bytes(self._talk[1:2]), bytes(self._talk[2:]))

    def _told(self, command: bytes, value: bytes) -> None:
        number = command[0] - SERVER if command else -1
        if number in (SUSPEND, RESUME):
            self.suspended = number == SUSPEND
        elif number in self._settings:
            wanted = self._settings[number]
            if value == wanted:
                self._open.pop(number, None)
            else:
                has, wants = int.from_bytes(value, "big"), int.from_bytes(wanted, "big")
                self.refusal = f"it does not take our {NAMES[number]} ({wants}; it says {has})"

    def _ask(self) -> None:
        if not self._asked:
            self._asked = True
            for number, value in self._settings.items():
                self._tell(number, value)
            self._tell(SET_CONTROL, bytes([NO_FLOW_CONTROL]))
            self._tell(PURGE_DATA, bytes([PURGE_BOTH]))

    def _tell(self, command: int, value: bytes) -> None:
        self.outgoing += bytes([IAC, SB, COM_PORT, command]) + self.encode(value) + bytes([IAC, SE])

    def _say(self, verb: int, option: int) -> None:
        """Once: two that confirm each other's confirmations never end (RFC 854)."""
        if (verb, option) not in self._said:
            self._said.add((verb, option))
            self.outgoing += bytes([IAC, verb, option])
