"""What `gleaner webhooks deliveries` and `redeliver` do."""

from collections.abc import Sequence

from gleaner.v1 import webhooks_pb2 as pb
from gleaner_client import printing
from gleaner_client.cli.choices import Delivery
from gleaner_client.cli.running import run
from gleaner_client.client import GleanerClient
from gleaner_client.exits import Exit


def list_(
    job: str, states: Sequence[Delivery], limit: int, *, server: str, timeout: float | None, as_json: bool
) -> None:
    """Show the deliveries that fit, newest first."""

    async def work(client: GleanerClient) -> Exit:
        deliveries: list[pb.Delivery] = []
        wanted = [pb.DeliveryState.Value(f"DELIVERY_STATE_{state}") for state in states]
        async for delivery in client.deliveries(job=job, states=wanted, page_size=min(limit, 1000)):
            deliveries.append(delivery)
            if len(deliveries) == limit:
                break
        if as_json:
            printing.say(printing.as_json(pb.ListDeliveriesResponse(deliveries=deliveries)))
        elif deliveries:
            printing.out().print(printing.deliveries_table(deliveries))
        else:
            printing.note("no deliveries")
        return Exit.OK

    run(work, server=server, timeout=timeout)


def again(delivery: str, *, server: str, timeout: float | None, as_json: bool) -> None:
    """Send the delivery again and show it."""

    async def work(client: GleanerClient) -> Exit:
        sent = await client.redeliver(delivery)
        if as_json:
            printing.say(printing.as_json(sent))
        else:
            printing.out().print(printing.deliveries_table([sent]))
        return Exit.OK

    run(work, server=server, timeout=timeout)
