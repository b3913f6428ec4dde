from collections.abc import AsyncIterator

import pytest

from gleaner_client import GleanerClient
from support.scripted_server import ScriptedServer, scripted_server


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    async with scripted_server() as running:
        yield running


@pytest.fixture
async def client(server: ScriptedServer) -> AsyncIterator[GleanerClient]:
    async with GleanerClient(server.address, timeout=10) as connected:
        yield connected
