"""What a stack's services say, for tests that wait for a line instead of sleeping."""

import asyncio


class LogLines:
    """What the services said; a test waits for a line instead of sleeping."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._news = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    def __call__(self, name: str, line: str) -> None:
        self.lines.append(f"{name}: {line}")
        task = asyncio.get_running_loop().create_task(self._tell())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def wait_for(self, text: str) -> None:
        async with asyncio.timeout(20), self._news:
            await self._news.wait_for(lambda: any(text in line for line in self.lines))

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()
