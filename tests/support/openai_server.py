"""A real HTTP server on loopback that speaks the chat-completions protocol and answers as a test wrote down."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Reply:
    """One answer: `content` of the model's message, or an error's `status`; `after` seconds of thinking."""

    content: str = ""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    finish_reason: str = "stop"
    refusal: str | None = None
    after: float = 0.0
    body: str | None = None

    def rendered(self, model: str) -> str:
        if self.body is not None:
            return self.body
        if self.status != 200:
            return json.dumps({"error": {"message": "no", "type": "error", "code": None}})
        message = {"role": "assistant", "content": self.content or None, "refusal": self.refusal}
        return json.dumps(
            {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": 1,
                "model": model,
                "choices": [{"index": 0, "message": message, "finish_reason": self.finish_reason}],
                "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
            }
        )


class OpenAiServer:
    """Answers each request with the next reply; the last one again and again. Keeps what it was asked."""

    def __init__(self, *replies: Reply) -> None:
        self._replies = list(replies)
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.base_url = ""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:] if ": " in line)
                lowered = {name.lower(): value for name, value in headers.items()}
                body = await reader.readexactly(int(lowered.get("content-length", 0)))
                self.requests.append(json.loads(body))
                self.keys.append(lowered.get("authorization", ""))
                await self._answer(writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, writer: asyncio.StreamWriter) -> None:
        reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        await asyncio.sleep(reply.after)
        content = reply.rendered(self.requests[-1]["model"]).encode()
        lines = [f"HTTP/1.1 {reply.status} X", "Content-Type: application/json", f"Content-Length: {len(content)}"]
        lines += [f"{name}: {value}" for name, value in reply.headers.items()]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode() + content)
        await writer.drain()


@asynccontextmanager
async def openai_server(*replies: Reply) -> AsyncIterator[OpenAiServer]:
    """A server with these replies, listening while the block runs."""
    answering = OpenAiServer(*replies)
    server = await asyncio.start_server(answering.handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    answering.base_url = f"http://127.0.0.1:{port}/v1"
    try:
        yield answering
    finally:
        server.close()
