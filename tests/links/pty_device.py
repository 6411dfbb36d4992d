"""A serial line without hardware: a pty pair, and on its far side a device that is a function of the bytes it gets."""

from __future__ import annotations

import asyncio
import os
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.links.memory_link import Device


class PtyDevice:
    """Listens on the far side, in the test's own loop; `unplug` lets the near side hang up."""

    def __init__(self, device: Device, *, echo: bool = False) -> None:
        self._device = device
        self._echo = echo
        self._far, self._near = os.openpty()
        tty.setraw(self._far)
        os.set_blocking(self._far, False)
        self.path = os.ttyname(self._near)
        self.asked = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._far, self._hear)

    def _hear(self) -> None:
        data = os.read(self._far, 4096)
        self.asked.set()
        if self._echo:
            self.say(data)
        for delay_s, answer in self._device(data):
            self._loop.call_later(delay_s, self.say, answer)

    def say(self, data: bytes) -> None:
        """Bytes onto the line, asked or not."""
        if self._far >= 0:
            os.write(self._far, data)

    def permit(self, mode: int) -> None:
        """Who may open it."""
        os.fchmod(self._near, mode)

    def unplug(self) -> None:
        """Nothing is there any more."""
        if self._far >= 0:
            self._loop.remove_reader(self._far)
            os.close(self._far)
            self._far = -1
            os.close(self._near)


@contextmanager
def plugged_in(device: Device, *, at: Path | None = None, echo: bool = False) -> Iterator[PtyDevice]:
    """A device on a pty; with `at` also reached under that name, as udev's by-id names are."""
    pty = PtyDevice(device, echo=echo)
    if at is not None:
        with suppress(FileNotFoundError):
            at.unlink()
        at.symlink_to(pty.path)
    try:
        yield pty
    finally:
        pty.unplug()
