"""The documents' bytes: content-addressed by SHA-256 within a tenant."""

import hashlib

from gleaner_repo import sql
from gleaner_repo.pool import Database

_PUT = sql.read("put_document")
_GET = sql.read("get_document")


class DocumentRepository:
    """The documents of all tenants. Every method raises Unavailable if the database did not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, tenant_id: str, content: bytes, media_type: str) -> bytes:
        """Stores the bytes, once, and returns their digest (32 bytes). Call it before the submit that names them."""
        digest = hashlib.sha256(content).digest()
        await self._database.execute(_PUT, tenant_id, digest, len(content), media_type, content)
        return digest

    async def get(self, tenant_id: str, digest: bytes) -> bytes | None:
        """The bytes, None if the tenant has no such document."""
        row = await self._database.fetchrow(_GET, tenant_id, digest)
        return None if row is None else row["content"]
