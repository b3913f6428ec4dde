"""How every server of the suite is built, run and ended."""

import asyncio
import importlib
import logging
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta

import grpc.aio
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from gleaner_rpc.calls import Interceptor
from gleaner_rpc.concerns import answered, bounded_by, checked_but, observed
from gleaner_rpc.health import Health, Ready, always
from gleaner_rpc.limits import Gate
from gleaner_rpc.settings import GrpcSettings
from gleaner_rpc.tls import server_credentials
from gleaner_telemetry import measuring, watch_event_loop

Beside = Callable[[asyncio.Event], Awaitable[None]]
_log = logging.getLogger(__name__)
_MAX_PROBES = 32  # at once, on the port that is nobody else's


class CannotListen(Exception):
    """The address is taken or is not ours."""


class Server:
    """A gRPC server with health, reflection, and what every call needs around it. Raises UnfitCertificates."""

    def __init__(self, settings: GrpcSettings, grpc_server: grpc.aio.Server, gate: Gate, health: Health) -> None:
        self.settings = settings
        self.gate = gate
        self.health = health
        self._server = grpc_server
        self._credentials = server_credentials(settings.tls)
        self._plain = _health_alone(health) if settings.health_listen else None
        self.port = 0
        self.health_port = 0

    async def start(self) -> None:
        """Listens, NOT_SERVING yet. Raises CannotListen."""
        settings = self.settings
        self.port = _bound(self._server, settings.listen, "GLEANER_LISTEN", self._credentials)
        await self.health.begin()
        if self._plain:
            self.health_port = _bound(self._plain, settings.health_listen, "GLEANER_HEALTH_LISTEN")
            await self._plain.start()
        await self._server.start()
        host = settings.listen.rpartition(":")[0]
        more = {"tls": settings.tls.kind, "health_port": self.health_port or self.port}
        _log.info("listening", extra={"address": f"{host}:{self.port}", "port": self.port, **more})

    async def drain(self, beside: Awaitable[None]) -> None:
        """No call is taken any more, and those under way and `beside` have ended, or the grace is over.

        Who is connected is told to go elsewhere, and nobody connects any more: else callers who balance would go on
        asking a server that refuses them, for as long as its last run lasts.
        """
        grace = self.settings.drain_grace.total_seconds()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._server.stop(grace))
            try:
                async with asyncio.timeout(grace):
                    await self.gate.drain()
            except TimeoutError:
                _log.warning("out of patience with calls under way", extra={"calls": self.gate.running})
            await beside
            await self._server.stop(0)  # ends the first, which would wait for those who watch health, too

    async def stop(self) -> None:
        """What is still under way is cut off."""
        await self._server.stop(0)
        if self._plain:
            await self._plain.stop(0)


def _bound(server: grpc.aio.Server, address: str, variable: str, tls: grpc.ServerCredentials | None = None) -> int:
    """The port that the server listens on, by TLS if it has what that takes."""
    try:
        return server.add_secure_port(address, tls) if tls else server.add_insecure_port(address)
    except RuntimeError as error:
        raise CannotListen(f"cannot listen on {address}: set {variable}") from error


def _health_alone(its_health: Health) -> grpc.aio.Server:
    """A server that answers to health and to nothing else."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)], maximum_concurrent_rpcs=_MAX_PROBES)
    health_pb2_grpc.add_HealthServicer_to_server(its_health.servicer, server)
    return server


def build_server(
    settings: GrpcSettings,
    *servicers: object,
    heavy: Collection[str] = (),
    limits: Mapping[str, timedelta] | None = None,
    check_themselves: Collection[str] = (),
) -> Server:
    """A server of the servicers. `heavy` are the methods whose requests carry documents, `limits` how long a method
    may take that is no ordinary one, and some `check_themselves` what the rules say, to tell it together with what
    they find; all by full name, `/gleaner.v1.JobService/WatchJob`.
    """
    gate = Gate(settings, heavy=heavy, limits=limits)
    concerns = (
        observed,
        answered,
        bounded_by(gate, settings.upload_limit),
        checked_but(check_themselves),
    )
    server = grpc.aio.server(interceptors=[Interceptor(gate, concerns)], options=_options(settings))
    services = [_add(servicer, server) for servicer in servicers]
    its_health = Health(services)
    health_pb2_grpc.add_HealthServicer_to_server(its_health.servicer, server)
    if settings.reflection:
        reflection.enable_server_reflection((*services, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
    return Server(settings, server, gate, its_health)


def _add(servicer: object, server: grpc.aio.Server) -> str:
    """Registers the servicer by the generated class it derives from; returns the service's full name."""
    generated = next(kind for kind in type(servicer).__mro__ if kind.__module__.endswith("_pb2_grpc"))
    module = importlib.import_module(generated.__module__)
    getattr(module, f"add_{generated.__name__}_to_server")(servicer, server)
    messages = importlib.import_module(generated.__module__.removesuffix("_grpc"))
    service = messages.DESCRIPTOR.services_by_name[generated.__name__.removesuffix("Servicer")]
    return str(service.full_name)


def _options(settings: GrpcSettings) -> list[tuple[str, int]]:
    age = int(settings.max_connection_age.total_seconds() * 1000)
    return [
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", settings.max_message_bytes),
        ("grpc.so_reuseport", 0),  # else two processes share a port and nobody is told
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.keepalive_permit_without_calls", 1),
        # Less than any client's period: else a client with long calls is sent away for too many pings.
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
        ("grpc.http2.max_ping_strikes", 0),
        ("grpc.max_connection_age_ms", age),
        ("grpc.max_connection_age_grace_ms", age),
    ]


async def serve(server: Server, *, beside: Beside | None = None, ready: Ready = always) -> None:
    """Serves until SIGTERM or SIGINT, or until `beside` ends, then drains: health says NOT_SERVING, after a pause no
    call is taken any more, `beside` is told to stop by its event, and what is under way finishes.

    A second signal ends the process at once.
    """
    async with _signals() as asked_to_stop, asyncio.TaskGroup() as group:
        await server.start()
        lag = group.create_task(watch_event_loop()) if measuring() else None
        try:
            followed = group.create_task(server.health.follow(ready))
            stop = asyncio.Event()
            alongside = group.create_task(_run(beside or _wait, stop))
            waiting = group.create_task(asked_to_stop.wait())
            await asyncio.wait((waiting, alongside), return_when=asyncio.FIRST_COMPLETED)
            _log.info("draining")
            await server.health.drain()
            if waiting.done():
                await asyncio.sleep(server.settings.drain_pause.total_seconds())
            stop.set()
            await server.drain(alongside)
            followed.cancel()
            waiting.cancel()
            if lag:
                lag.cancel()
        finally:
            await server.stop()
    _log.info("stopped")


async def _run(beside: Beside, stop: asyncio.Event) -> None:
    await beside(stop)


async def _wait(stop: asyncio.Event) -> None:
    await stop.wait()


@asynccontextmanager
async def _signals() -> AsyncIterator[asyncio.Event]:
    """An event that SIGTERM and SIGINT set; after the first one they do again what they always did."""
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    signals = (signal.SIGTERM, signal.SIGINT)

    def ask() -> None:
        asked.set()
        for number in signals:
            loop.remove_signal_handler(number)

    for number in signals:
        loop.add_signal_handler(number, ask)
    try:
        yield asked
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
