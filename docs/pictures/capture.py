"""docs/pictures/demo.svg: a real terminal, caught while `chaobiao demo` lives in it. Run by hand after the demo has changed:

    .venv/bin/python docs/pictures/capture.py

The demo runs on a pseudo-terminal of its own until its clock shows `UNTIL`; what stands on the screen then is drawn.
"""

import codecs
import fcntl
import os
import pty
import re
import signal
import struct
import sys
import termios
import time
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.text import Text

WIDTH, HEIGHT = 96, 40
UNTIL, LAST = "2026-03-31 23:30", "Ctrl-C ends"
"""In the title and in the last line: one meter is silent, one shows a wrong value, one answers with bad sums."""
PATIENCE_S = 120.0
PICTURE = Path(__file__).with_name("demo.svg")
COMMAND = "chaobiao demo"
_CONTROL = re.compile(r"\r|\n|\x1b\[(?P<numbers>[\d;?]*)(?P<verb>[A-Za-z])|[^\r\n\x1b]+")
_UNFINISHED = re.compile(r"\x1b(\[[\d;?]*)?$")


class Screen:
    """As much of a terminal as the demo uses: lines are written whole, erased whole, and gone back to. Colours stay in."""

    def __init__(self) -> None:
        self.lines = [""]
        self.row = 0

    def feed(self, text: str) -> None:
        """What the program wrote."""
        for found in _CONTROL.finditer(text):
            piece = found[0]
            if piece == "\n":
                self.row += 1
                if self.row == len(self.lines):
                    self.lines.append("")
            elif found["verb"] == "A":
                self.row = max(0, self.row - int(found["numbers"] or 1))
            elif found["verb"] == "K":
                self.lines[self.row] = ""
            elif piece != "\r" and found["verb"] in (None, "m"):
                self.lines[self.row] += piece

    @property
    def text(self) -> str:
        """The screen, its colours included."""
        return "\n".join(self.lines)


def caught() -> str:
    """Run the demo until its clock shows `UNTIL`, and give the screen of that moment."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ.update(TERM="xterm-256color", LANG="C.UTF-8", LANGUAGE="en", COLORTERM="truecolor")
        os.execv(Path(sys.executable).with_name("chaobiao"), COMMAND.split())  # noqa: S606 - no shell is wanted
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", HEIGHT, WIDTH, 0, 0))
    screen, late, held = Screen(), time.monotonic() + PATIENCE_S, ""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    try:
        while UNTIL not in screen.text or LAST not in screen.text:
            if time.monotonic() > late:
                raise SystemExit(f"the demo did not get to {UNTIL}; its screen:\n{screen.text}")
            arrived = held + decoder.decode(os.read(terminal, 65536))
            held = found[0] if (found := _UNFINISHED.search(arrived)) else ""
            screen.feed(arrived.removesuffix(held))
    finally:
        os.kill(child, signal.SIGINT)
        os.close(terminal)
        os.waitpid(child, 0)
    return screen.text


def main() -> None:
    """Catch and draw."""
    text = caught()
    console = Console(width=WIDTH, record=True, file=StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text(f"$ {COMMAND}", style="bold"))
    console.print(Text.from_ansi(text.rstrip()))
    picture = console.export_svg(title=COMMAND, unique_id="demo")
    PICTURE.write_text(
        re.sub(r"\s*@font-face \{.*?\}", "", picture, flags=re.DOTALL), encoding="utf-8"
    )  # no page elsewhere
    sys.stdout.write(f"{PICTURE}\n")


if __name__ == "__main__":
    main()
