"""TCP ports of loopback: free ones, and whether one is taken."""

import contextlib
import random
import socket

LOOPBACK = "127.0.0.1"

# Below those that systems give to whoever asks for any (Linux from 32768, others from 49152): between our look and the
# server's start nobody else is given one of these.
_OURS = range(16384, 32768)


class PortTaken(Exception):
    """Somebody else listens on the port, or it may not be used."""


def free_ports(count: int) -> list[int]:
    """That many different ports that nobody listens on at this moment."""
    found: set[int] = set()
    while len(found) < count:
        port = random.choice(_OURS)
        with contextlib.suppress(PortTaken):
            refuse_taken(port)
            found.add(port)
    return list(found)


def refuse_taken(port: int) -> None:
    """Raise `PortTaken` if somebody listens on the port.

    gRPC would share it with another server of the same user without a word (SO_REUSEPORT).
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of a server that ended don't count
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise PortTaken(f"port {port} of {LOOPBACK} is not to be had: {error.strerror}") from error
