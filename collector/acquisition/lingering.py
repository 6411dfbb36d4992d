"""Letting go of a connection so that what was sent last still arrives."""

from __future__ import annotations

import asyncio
import logging
import socket

log = logging.getLogger(__name__)

LINGER_S = 1.0
"""For a broker to hang up after DISCONNECT, as MQTT 5 §3.14.4 has it."""
CHUNK = 64 * 1024


async def heard_out(sock: socket.socket) -> None:
    """Take what still comes, and forget it, until the other side hangs up; then close. A socket that is closed while bytes wait
    in it is reset, and a broker that meets the reset first never reads the acknowledgements that we sent before.
    """
    sock.setblocking(False)
    try:
        async with asyncio.timeout(LINGER_S):
            while await asyncio.get_running_loop().sock_recv(sock, CHUNK):
                pass
    except (OSError, TimeoutError) as error:
        log.debug("the other side did not hang up: %s", error)
    finally:
        sock.close()
