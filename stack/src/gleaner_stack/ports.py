"""TCP ports of loopback: free ones, and whether one is taken."""

import contextlib
import socket

LOOPBACK = "127.0.0.1"


class PortTaken(Exception):
    """Somebody else listens on the port, or it may not be used."""


def free_ports(count: int) -> list[int]:
    """That many different ports that nobody listens on at this moment."""
    with contextlib.ExitStack() as held:  # all at once, or the same one might come twice
        probes = [held.enter_context(socket.create_server((LOOPBACK, 0))) for _ in range(count)]
        return [probe.getsockname()[1] for probe in probes]


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
