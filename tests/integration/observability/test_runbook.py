"""The SQL of docs/runbook.md, run."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TypeAlias

import asyncpg
import pytest

TEXT = (Path(__file__).parents[3] / "docs/runbook.md").read_text()
STATEMENTS = re.findall(r"^```sql\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


@pytest.fixture
async def reader(database_url: str) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(database_url, server_settings={"default_transaction_read_only": "on"})
    yield connection
    await connection.close()


@pytest.mark.parametrize("statement", STATEMENTS, ids=range(len(STATEMENTS)))
async def test_a_statement_of_the_page_runs_in_a_session_that_only_reads(reader: Connection, statement: str) -> None:
    assert isinstance(await reader.fetch(statement), list)


async def test_the_page_finds_who_holds_up_the_log(reader: Connection, database_url: str) -> None:
    [statement] = [one for one in STATEMENTS if "pg_locks" in one]
    culprit = await asyncpg.connect(database_url, server_settings={"application_name": "report"})
    try:
        async with culprit.transaction():
            await culprit.execute("SELECT pg_current_xact_id()")
            found = await reader.fetch(statement)
    finally:
        await culprit.close()

    [row] = [row for row in found if row["application_name"] == "report"]
    assert row["state"] == "idle in transaction"
    assert row["open_for"] is not None
