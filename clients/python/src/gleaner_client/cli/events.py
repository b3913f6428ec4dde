"""What `events` does."""

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass

from gleaner_client import printing
from gleaner_client.cli.running import run
from gleaner_client.client import GleanerClient
from gleaner_client.exits import Exit


@dataclass(frozen=True, slots=True)
class Terms:
    """Which group, and how it starts if it is new."""

    group: str
    earliest: bool
    event_types: Sequence[str]
    restart_expired: bool


def events(terms: Terms, limit: int, *, server: str, timeout: float | None, as_json: bool) -> None:
    """Print events as they come, `limit` of them at most unless it is 0."""

    async def work(client: GleanerClient) -> Exit:
        subscription = client.subscribe(
            terms.group,
            event_types=terms.event_types,
            earliest=terms.earliest,
            restart_expired=terms.restart_expired,
        )
        count = 0
        async with aclosing(subscription):
            async for received in subscription:
                if as_json:
                    printing.say(printing.as_json_line(received.message))
                else:
                    printing.out().print(printing.event_text(received.message))
                await received.ack()
                count += 1
                if count == limit:
                    break
        return Exit.OK

    run(work, server=server, timeout=timeout)
