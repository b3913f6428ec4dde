"""The image's health check against a real server."""

import asyncio
import sys
from collections.abc import AsyncIterator

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from support.manifests import ROOT


@pytest.fixture
async def server() -> AsyncIterator[tuple[health.aio.HealthServicer, int]]:
    servicer, server = health.aio.HealthServicer(), grpc.aio.server()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield servicer, port
    await server.stop(None)


async def exit_code(port: int, **more: str) -> int:
    check = await asyncio.create_subprocess_exec(
        sys.executable, str(ROOT / "docker/healthcheck.py"), env={"GLEANER_LISTEN": f"0.0.0.0:{port}", **more}
    )
    return await check.wait()


async def test_a_container_is_healthy_while_its_server_serves(server: tuple[health.aio.HealthServicer, int]) -> None:
    servicer, port = server
    await servicer.set("", health_pb2.HealthCheckResponse.SERVING)
    assert await exit_code(port) == 0


async def test_a_container_is_unhealthy_while_its_server_drains(server: tuple[health.aio.HealthServicer, int]) -> None:
    servicer, port = server
    await servicer.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
    assert await exit_code(port) == 1


async def test_a_container_is_unhealthy_when_nobody_answers() -> None:
    assert await exit_code(1) == 1


async def test_a_server_that_speaks_tls_is_asked_on_the_port_that_does_not(
    server: tuple[health.aio.HealthServicer, int],
) -> None:
    servicer, port = server
    await servicer.set("", health_pb2.HealthCheckResponse.SERVING)
    assert await exit_code(1, GLEANER_HEALTH_LISTEN=f"0.0.0.0:{port}") == 0
