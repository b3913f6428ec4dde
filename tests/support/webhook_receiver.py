"""A receiver of webhooks as they are met: a real HTTP server that obeys, fails, dawdles, redirects or babbles."""

import asyncio
import queue
import socket
import ssl
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

Behaviour = Callable[["_Handler"], None]


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it came in; header names in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def webhook_id(self) -> str:
        return self.headers["webhook-id"]


def answering(status: int = 200, body: bytes = b"", **headers: str) -> Behaviour:
    """An ordinary answer. `retry_after="1"` is the header Retry-After."""

    def behave(handler: "_Handler") -> None:
        handler.wfile.write(_answer(status, body, **headers))

    return behave


def hanging(handler: "_Handler") -> None:
    """No answer until the receiver ends, or the sender goes away."""
    handler.receiver.gone.wait(30)


def dripping(handler: "_Handler") -> None:
    """An answer that never gets past its headers, a byte at a time."""
    _drip(handler, b"HTTP/1.1 200 OK\r\nX-Slow: ")


def dripping_after_status(status: int) -> Behaviour:
    """A whole head of an answer, whose body comes a byte at a time."""
    return lambda handler: _drip(handler, f"HTTP/1.1 {status} X\r\nContent-Length: 1000000\r\n\r\n".encode())


def _drip(handler: "_Handler", head: bytes) -> None:
    with suppress(OSError):
        handler.wfile.write(head)
        while not handler.receiver.gone.wait(0.02):
            handler.wfile.write(b"x")


def dropping(handler: "_Handler") -> None:
    """The connection is closed without an answer."""
    handler.connection.shutdown(socket.SHUT_RDWR)


def babbling(handler: "_Handler") -> None:
    """Something that is no HTTP."""
    handler.wfile.write(b"220 mail.example.org ESMTP\r\n")


def answering_twice(first: int, second: int) -> Behaviour:
    """Two answers to one request, at once: whoever kept the connection would take the second for the next one's."""

    def behave(handler: "_Handler") -> None:
        handler.wfile.write(_answer(first, b"") + _answer(second, b""))

    return behave


def flooding(handler: "_Handler") -> None:
    """An answer without an end."""
    with suppress(OSError):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not handler.receiver.gone.is_set():
            handler.wfile.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
            handler.receiver.flooded += 0x10000


def _answer(status: int, body: bytes, **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


class WebhookReceiver:
    """The server, in threads of its own, on a free port of loopback. It behaves as `next` says, then as `always`."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.always: Behaviour = answering(200)
        self.next: deque[Behaviour] = deque()
        self.all: list[Received] = []
        self.gone = threading.Event()
        self.flooded = 0
        self.at_once = 0
        self.most_at_once = 0
        self._lock = threading.Lock()
        self._requests: queue.SimpleQueue[Received] = queue.SimpleQueue()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"receiver": self}))
        self._server.daemon_threads = True
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.gone.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    async def received(self, patience: float = 10.0) -> Received:
        """The next request that nobody has asked for yet; waits for it."""
        return await asyncio.to_thread(self._requests.get, True, patience)

    def take(self, request: Received) -> Behaviour:
        """Notes the request and returns how to behave."""
        with self._lock:
            self.all.append(request)
            self._requests.put(request)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            return self.next.popleft() if self.next else self.always

    def done(self) -> None:
        """A request was dealt with."""
        with self._lock:
            self.at_once -= 1


class _Handler(BaseHTTPRequestHandler):
    receiver: WebhookReceiver
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        behave = self.receiver.take(Received(self.path, headers, body))
        try:
            behave(self)
        finally:
            self.receiver.done()

    def do_GET(self) -> None:  # how a redirect would be followed
        self.do_POST()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the test says what it saw."""
