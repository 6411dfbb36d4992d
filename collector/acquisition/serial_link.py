"""A serial port (RS-485 adapter, optical head) as a `Link`; the door to pyserial.

pyserial opens and configures the port; bytes are then moved by the loop itself, without a thread. Opening can take long
(USB), so it happens beside the loop. Invariant: a port that failed or was unplugged is let go of at once, and `open` tries
the same path anew: what is plugged in again is found by the next poll (write by-id paths into the configuration).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import termios

import serial

from collector.acquisition.bell import Bell
from collector.acquisition.outcome import rule
from collector.acquisition.shortage import NUMBERS, TOO_MANY_FILES
from collector.errors import LinkError
from collector.settings.link_url import SerialLine
from storage.records import Owner

LIMIT = 16 * 1024
"""Bytes that may wait to be taken; then the port is not read, and the driver drops what its own buffer cannot hold."""
CHUNK = 4096

PSEUDO_TERMINALS = range(136, 144)
"""Major numbers of the Unix98 pty slaves (kernel: admin-guide/devices.txt)."""

_REASONS = {
    errno.ENOENT: "no_such_port",
    errno.ENXIO: "no_such_port",
    errno.ENODEV: "no_such_port",
    errno.ENOTTY: "no_such_port",
    errno.EISDIR: "no_such_port",
    errno.EACCES: "no_permission",
    errno.EPERM: "no_permission",
    errno.EBUSY: "port_in_use",
    errno.EAGAIN: "port_in_use",  # the lock is held by another process
    **dict.fromkeys(NUMBERS, TOO_MANY_FILES),
}
_WORDS = {
    "no_such_port": "there is no such serial port",
    "no_permission": "no permission to use it (on Debian: the group dialout)",
    "port_in_use": "another program uses it",
    "port_failed": "it cannot be used",
    TOO_MANY_FILES: "this process has no file descriptor left for it",
}


def byte_s(line: SerialLine) -> float:
    """How long one byte is on the wire: start bit, data, parity, stop bits."""
    return (1 + line.bytesize + (line.parity != "N") + float(line.stopbits)) / line.baudrate


def _plate(line: SerialLine) -> str:
    return f"{line.baudrate} {line.bytesize}{line.parity}{line.stopbits}"


class SerialLink:
    """`serial:///dev/ttyUSB0?baudrate=2400&parity=E`."""

    def __init__(self, path: str, line: SerialLine, *, name: str = "") -> None:
        self.name = name or f"serial://{path}"
        self._path = path
        self._line = line
        self._byte_s = byte_s(line)
        self._port: serial.Serial | None = None
        self._fd = -1
        self._buffer = bytearray()
        self._bell: Bell | None = None
        self._lost = ""

    async def open(self, deadline: float) -> None:
        """See `Link`. A port that was unplugged meanwhile is opened anew."""
        if self._port is not None:
            if not self._lost:
                return
            await self.close()
        loop = asyncio.get_running_loop()
        opening = loop.run_in_executor(None, _open_port, self._path, self._line)
        try:
            await asyncio.wait({opening}, timeout=max(0.0, deadline - loop.time()))
        finally:
            if not opening.done():
                # The thread cannot be stopped. What it may still open is let go of, or we would find our own port in use.
                opening.add_done_callback(_close_late)
        if not opening.done():
            raise self._error("port_failed", "it does not open in time")
        try:
            port = opening.result()
        except OSError as error:
            reason = _reason(error)
            words = f"it does not take {_plate(self._line)}" if error.errno == errno.EINVAL else _WORDS[reason]
            raise self._error(reason, f"{words} ({error.strerror or error})") from error
        self._port, self._fd, self._lost, self._bell = port, port.fileno(), "", Bell(loop)
        self._buffer.clear()
        loop.add_reader(self._fd, self._readable)

    async def write(self, data: bytes, deadline: float) -> None:
        """See `Link`. Returns when the last bit is on the wire: an answer's time-out begins there, not in a buffer."""
        bell = self._alive()
        rest = data
        while rest:
            try:
                rest = rest[os.write(self._fd, rest) :]
            except BlockingIOError:
                await self._writable(bell, deadline)
            except OSError as error:
                self._lose(error.strerror)
                raise self._gone() from error
        await asyncio.sleep(len(data) * self._byte_s)

    async def read(self, deadline: float) -> bytes:
        """See `Link`."""
        bell = self._alive()
        if not self._buffer and not self._lost:
            await bell.wait(deadline)
        if self._buffer:
            data = bytes(self._buffer)
            self._buffer.clear()
            if len(data) >= LIMIT and not self._lost:
                asyncio.get_running_loop().add_reader(self._fd, self._readable)
            return data
        if self._lost:
            raise self._gone()
        return b""

    async def close(self) -> None:
        """See `Link`. Bytes not yet on the wire are thrown away."""
        port, self._port = self._port, None
        self._buffer.clear()
        if port is not None:
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._fd)
            loop.remove_writer(self._fd)
            _close_port(port)

    def _readable(self) -> None:
        """Called by the loop. No bytes although some were announced: unplugged, or another program took them."""
        try:
            data = os.read(self._fd, CHUNK)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(error.strerror)
            return
        if not data:
            self._lose("it is unplugged, or another program reads from it too")
            return
        self._buffer += data
        if len(self._buffer) >= LIMIT:
            asyncio.get_running_loop().remove_reader(self._fd)
        self._ring()

    async def _writable(self, bell: Bell, deadline: float) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() >= deadline:
            raise self._error("no_answer", "it takes no more bytes")
        loop.add_writer(self._fd, bell.ring)
        try:
            await bell.wait(deadline)
        finally:
            loop.remove_writer(self._fd)

    def _lose(self, why: str | None) -> None:
        self._lost = why or "it failed"
        asyncio.get_running_loop().remove_reader(self._fd)
        self._ring()

    def _ring(self) -> None:
        if self._bell is not None:
            self._bell.ring()

    def _alive(self) -> Bell:
        if self._port is None or self._bell is None:
            raise LinkError("connection_lost", Owner.OURS, f"{self._path}: it is not open")
        return self._bell

    def _gone(self) -> LinkError:
        return LinkError("connection_lost", Owner.OURS, f"{self._path}: {self._lost}")  # our adapter, nobody's network

    def _error(self, reason: str, detail: str) -> LinkError:
        return LinkError(reason, rule(reason).owner, f"{self._path}: {detail}")


def _open_port(path: str, line: SerialLine) -> serial.Serial:
    """Runs in a thread. :raises OSError: pyserial's own errors are some."""
    bits = SerialLine(line.baudrate) if _is_pseudo_terminal(path) else line
    try:
        port = serial.Serial(
            path,
            baudrate=bits.baudrate,
            bytesize=bits.bytesize,
            parity=bits.parity,
            stopbits=float(bits.stopbits),
            timeout=0,
            exclusive=True,
        )
    except termios.error as error:  # the one that pyserial lets through; it has the arguments of an OSError
        raise OSError(*error.args) from error
    # pyserial's lock keeps out who asks for it; this keeps out who does not (all but root).
    fcntl.ioctl(port.fileno(), termios.TIOCEXCL)
    return port


def _is_pseudo_terminal(path: str) -> bool:
    """It carries bytes, has no bits on a wire, and refuses to be told of a parity bit (glibc: EINVAL)."""
    try:
        return os.major(os.stat(path).st_rdev) in PSEUDO_TERMINALS  # noqa: PTH116 - not the path but its device is asked for
    except OSError:
        return False  # whoever opens it will say what is wrong


def _close_port(port: serial.Serial) -> None:
    """Closing waits until everything is sent; what is not yet sent is dropped first, so it does not wait."""
    with contextlib.suppress(OSError, termios.error):  # unplugged: nothing left to drop
        port.reset_output_buffer()
    port.close()


def _close_late(opening: asyncio.Future[serial.Serial]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        _close_port(opening.result())


def _reason(error: OSError) -> str:
    """pyserial keeps the number of some errors and puts that of others into its text alone."""
    number = error.errno
    if number is None and "Inappropriate ioctl" in str(error):
        number = errno.ENOTTY
    return _REASONS.get(number or 0, "port_failed")
