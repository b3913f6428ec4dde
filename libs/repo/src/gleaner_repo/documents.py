"""The documents' bytes: content-addressed by SHA-256 within a tenant."""

from gleaner_repo import sql
from gleaner_repo.pool import Database

_KEEP = sql.read("keep_document")
_PUT = sql.read("put_document")
_GET = sql.read("get_document")


class DocumentRepository:
    """The documents of all tenants. Every method raises Unavailable if the database did not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(self, tenant_id: str, digest: bytes) -> bool:
        """Whether the bytes are there already; then they stay for the submit that names them."""
        return bool(await self._database.fetch(_KEEP, tenant_id, digest))

    async def put(self, tenant_id: str, digest: bytes, content: bytes, media_type: str) -> None:
        """Stores the bytes, whose SHA-256 is `digest`, once. Call it before the submit that names them."""
        await self._database.execute(_PUT, tenant_id, digest, len(content), media_type, content)

    async def get(self, tenant_id: str, digest: bytes) -> bytes | None:
        """The bytes, None if the tenant has no such document."""
        row = await self._database.fetchrow(_GET, tenant_id, digest)
        return None if row is None else row["content"]
