"""A peer that vanishes without a word, in the kernel's own time (fault F31): a network of its own, cut off by a route.

Needs root and a kernel that gives out network namespaces; what the sockets are told to do is tested elsewhere without.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator

import pytest

from collector.acquisition.listening import ListeningPort
from collector.acquisition.tcp_link import TcpLink
from collector.errors import LinkError

IP = shutil.which("ip", path="/usr/sbin:/sbin:/usr/bin:/bin")
CABLE = 4 * (os.getpid() % 64)
OURS, THEIRS = f"198.51.100.{CABLE + 1}", f"198.51.100.{CABLE + 2}"
"""TEST-NET-2 (RFC 5737), nobody's; four addresses of it, so that two runs at one time are not in each other's way."""
DETECTED_S = 30.0

SERVER = f"""
import socket, sys
with socket.create_server(("{THEIRS}", 0)) as server:
    print(server.getsockname()[1], flush=True)
    calls = [server.accept()[0] for _ in range(2)]
    sys.stdin.read()
"""
MODEM = f"""
import socket, sys
with socket.create_connection(("{OURS}", int(sys.argv[1]))) as call:
    call.sendall(b"4712\\n")
    sys.stdin.read()
"""


def ip(*words: str) -> bool:
    return IP is not None and subprocess.run([IP, *words], capture_output=True).returncode == 0


@pytest.fixture
def far_side() -> Iterator[str]:
    """The name of a network that is reached by one cable."""
    space, near, far = (f"cb{os.getpid()}{end}" for end in "snf")
    if os.geteuid() or not ip("netns", "add", space):
        pytest.skip("needs root and network namespaces (Debian package iproute2)")
    try:
        made = (
            ip("link", "add", near, "type", "veth", "peer", "name", far, "netns", space)
            and ip("addr", "add", f"{OURS}/30", "dev", near)
            and ip("link", "set", near, "up")
            and ip("-n", space, "addr", "add", f"{THEIRS}/30", "dev", far)
            and ip("-n", space, "link", "set", far, "up")
        )
        if not made:
            pytest.skip("needs virtual Ethernet (veth)")
        yield space
    finally:
        ip("link", "del", near)  # a network lives on for as long as any socket in it
        ip("netns", "del", space)


def inside(space: str, code: str, *args: str) -> subprocess.Popen[str]:
    assert IP
    command = [IP, "netns", "exec", space, sys.executable, "-c", code, *args]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


async def lost_after(read: Callable[[float], Awaitable[bytes]]) -> float:
    """Seconds until a read says that the connection is lost."""
    loop = asyncio.get_running_loop()
    begun = loop.time()

    async def read_on() -> None:
        while loop.time() < begun + DETECTED_S + 10:
            assert await read(loop.time() + 5) == b""

    with pytest.raises(LinkError, match="connection lost"):
        await read_on()
    return loop.time() - begun


@pytest.mark.slow
async def test_a_peer_that_vanished_is_noticed(far_side: str) -> None:
    """Idle (keep-alive), with a question on its way (user time-out), and a modem that had dialled in."""
    loop = asyncio.get_running_loop()
    port = ListeningPort(OURS, 0)
    await port.open()
    called = port.expect(b"4712")
    server, modem = inside(far_side, SERVER), inside(far_side, MODEM, str(port.bound[0]))
    try:
        assert server.stdout
        number = int(await asyncio.to_thread(server.stdout.readline))
        idle, asking = TcpLink(THEIRS, number), TcpLink(THEIRS, number)
        for link in (idle, asking, called):
            await link.open(loop.time() + 10)
        assert ip("-n", far_side, "route", "add", "blackhole", f"{OURS}/32")
        await asking.write(b"is anybody there?", loop.time() + 1)
        seconds = await asyncio.gather(*(lost_after(link.read) for link in (idle, asking, called)))
        assert max(seconds) <= DETECTED_S
        assert min(seconds) > 5, "something else ended it"
        for link in (idle, asking, called):
            await link.close()
    finally:
        for process in (server, modem):
            process.kill()
            process.communicate()
        await port.close()
