"""Why a server that was reached did not understand us: gRPC itself only says that the connection was closed."""

import contextlib
import os
import socket
import ssl
from collections.abc import Iterator

_PATIENCE = 2.0
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"  # with which HTTP/2 begins: RFC 9113, section 3.4


def misunderstanding(address: str, *, tls: bool) -> str:
    """What to do if one side speaks TLS and the other does not, or a certificate is asked for; empty if neither."""
    host, _, port = address.rpartition("://")[2].rstrip("/").rpartition(":")
    if not (host and port.isdigit()):
        return ""
    with contextlib.suppress(OSError):
        if not tls and _speaks_tls(host, int(port)):
            return f"It speaks TLS: name it https://{host}:{port}, and its authority with GLEANER_TLS_CA."
        if tls and not _speaks_tls(host, int(port)):
            return f"It speaks no TLS: name it http://{host}:{port}."
        if tls and "GLEANER_TLS_CERT" not in os.environ and _asks_for_certificate(host, int(port)):
            return "It asks for a certificate: name one with GLEANER_TLS_CERT and GLEANER_TLS_KEY."
    return ""


def _speaks_tls(host: str, port: int) -> bool:
    try:
        with _greeted(host, port):
            return True
    except ssl.SSLError:
        return False


def _asks_for_certificate(host: str, port: int) -> bool:
    """By TLS 1.3 a server says so only after the handshake, when it is first read from."""
    try:
        with _greeted(host, port) as connection:
            connection.sendall(_PREFACE)
            return not connection.recv(1)
    except ssl.SSLError as error:
        return "CERTIFICATE_REQUIRED" in (error.reason or "")


@contextlib.contextmanager
def _greeted(host: str, port: int) -> Iterator[ssl.SSLSocket]:
    """A connection by TLS to whoever it is: nothing but a greeting is sent."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection((host.strip("[]"), port), _PATIENCE) as plain,
        context.wrap_socket(plain, server_hostname=host) as connection,
    ):
        yield connection
