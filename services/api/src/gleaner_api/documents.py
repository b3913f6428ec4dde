"""The bytes of documents on their way into the database: each once, before the job that names them."""

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Iterable
from functools import partial

from gleaner.v1.documents_pb2 import InputDocument
from gleaner_api.patience import patiently
from gleaner_api.turns import Turns
from gleaner_repo import DocumentRepository

LONG = 256 * 1024
"""From so many bytes on, hashing takes longer than a hop to a thread, and sending longer than a question."""
_REMEMBERED = 4096
# Far below the hour that a doomed document stays: within this time, what was stored or kept is there.
_FRESH_S = 600.0


async def digest_of(content: bytes) -> bytes:
    """SHA-256, without holding up the event loop."""
    if len(content) < LONG:
        return hashlib.sha256(content).digest()
    return (await asyncio.to_thread(hashlib.sha256, content)).digest()


class DocumentStore:
    """Stores documents, and remembers for a while which it has stored."""

    def __init__(self, documents: DocumentRepository) -> None:
        self._documents = documents
        self._stored: OrderedDict[tuple[str, bytes], float] = OrderedDict()
        self._turns = Turns()

    async def store(self, tenant_id: str, document: InputDocument, digest: bytes) -> None:
        """The document's bytes are in the database, and stay for the submit that names them."""
        key = (tenant_id, digest)
        if self._is_fresh(key):
            return
        async with self._turns.at(key):
            if self._is_fresh(key):
                return
            await self._send(tenant_id, document, digest)
            self._stored[key] = time.monotonic()
            self._stored.move_to_end(key)
            if len(self._stored) > _REMEMBERED:
                self._stored.popitem(last=False)

    def forget(self, tenant_id: str, digests: Iterable[bytes]) -> None:
        """The database says that one of them is gone, whatever was remembered."""
        for digest in digests:
            self._stored.pop((tenant_id, digest), None)

    def _is_fresh(self, key: tuple[str, bytes]) -> bool:
        stored = self._stored.get(key)
        return stored is not None and time.monotonic() - stored < _FRESH_S

    async def _send(self, tenant_id: str, document: InputDocument, digest: bytes) -> None:
        content = document.content
        if len(content) >= LONG and await patiently(partial(self._documents.keep, tenant_id, digest)):
            return
        await patiently(partial(self._documents.put, tenant_id, digest, content, document.media_type))
