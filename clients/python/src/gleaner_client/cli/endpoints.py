"""What the commands of `gleaner webhooks` do."""

from collections.abc import Sequence
from dataclasses import dataclass

from gleaner.v1 import webhooks_pb2 as pb
from gleaner_client import printing
from gleaner_client.cli.running import run
from gleaner_client.client import GleanerClient
from gleaner_client.exits import Exit


@dataclass(frozen=True, slots=True)
class New:
    """The endpoint to make."""

    url: str
    event_types: Sequence[str]
    description: str
    disabled: bool
    request_id: str


@dataclass(frozen=True, slots=True)
class Changes:
    """What is to be different; None stays as it is."""

    url: str | None
    event_types: Sequence[str] | None
    description: str | None
    disabled: bool | None


def create(new: New, *, server: str, timeout: float | None, as_json: bool) -> None:
    """Make the endpoint and show it with its secret."""

    async def work(client: GleanerClient) -> Exit:
        answer = await client.create_endpoint(
            new.url,
            new.event_types,
            description=new.description,
            disabled=new.disabled,
            request_id=new.request_id,
        )
        show_secret(answer, as_json)
        return Exit.OK

    run(work, server=server, timeout=timeout)


def list_(*, server: str, timeout: float | None, as_json: bool) -> None:
    """Show the endpoints, newest first."""

    async def work(client: GleanerClient) -> Exit:
        found = [endpoint async for endpoint in client.endpoints()]
        if as_json:
            printing.say(printing.as_json(pb.ListEndpointsResponse(endpoints=found)))
        elif found:
            printing.out().print(printing.endpoints_table(found))
        else:
            printing.note("no endpoints")
        return Exit.OK

    run(work, server=server, timeout=timeout)


def get(endpoint: str, *, server: str, timeout: float | None, as_json: bool) -> None:
    """Show the endpoint."""

    async def work(client: GleanerClient) -> Exit:
        show_endpoint(await client.get_endpoint(endpoint), as_json)
        return Exit.OK

    run(work, server=server, timeout=timeout)


def update(endpoint: str, changes: Changes, *, server: str, timeout: float | None, as_json: bool) -> None:
    """Change the endpoint and show it."""

    async def work(client: GleanerClient) -> Exit:
        changed = await client.update_endpoint(
            endpoint,
            url=changes.url,
            event_types=changes.event_types,
            description=changes.description,
            disabled=changes.disabled,
        )
        show_endpoint(changed, as_json)
        return Exit.OK

    run(work, server=server, timeout=timeout)


def rotate(
    endpoint: str, expire_previous: bool, request_id: str, *, server: str, timeout: float | None, as_json: bool
) -> None:
    """Give the endpoint a new secret and show both."""

    async def work(client: GleanerClient) -> Exit:
        answer = await client.rotate_endpoint_secret(endpoint, expire_previous=expire_previous, request_id=request_id)
        show_secret(answer, as_json)
        return Exit.OK

    run(work, server=server, timeout=timeout)


def delete(endpoint: str, allow_missing: bool, *, server: str, timeout: float | None) -> None:
    """Remove the endpoint."""

    async def work(client: GleanerClient) -> Exit:
        await client.delete_endpoint(endpoint, allow_missing=allow_missing)
        return Exit.OK

    run(work, server=server, timeout=timeout)


def show_endpoint(endpoint: pb.Endpoint, as_json: bool) -> None:
    """The endpoint, on stdout."""
    if as_json:
        printing.say(printing.as_json(endpoint))
    else:
        printing.out().print(printing.endpoint_table(endpoint))


def show_secret(answer: pb.CreateEndpointResponse | pb.RotateEndpointSecretResponse, as_json: bool) -> None:
    """The endpoint and its new secret, on stdout."""
    if as_json:
        printing.say(printing.as_json(answer))
    else:
        printing.out().print(printing.endpoint_table(answer.endpoint, secret=answer.secret))
        printing.note("Keep the secret: it is not shown again.", "yellow")
