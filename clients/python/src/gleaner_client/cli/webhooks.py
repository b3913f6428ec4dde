"""The commands of `gleaner webhooks` and their arguments."""

from typing import Annotated, TypeAlias

import typer

from gleaner_client.cli.choices import Delivery
from gleaner_client.cli.options import DEFAULT_SERVER, AsJson, Server, Timeout

app = typer.Typer(
    help="Keep endpoints, addresses that are told of the moves of all jobs, and see what was sent.",
    no_args_is_help=True,
)

EndpointName: TypeAlias = Annotated[
    str, typer.Argument(metavar="ENDPOINT", help="The endpoint: endpoints/UUID, or the UUID.")
]
RequestId: TypeAlias = Annotated[
    str, typer.Option(help="Makes the command safe to repeat: the same id, the same secret. Default: a new UUID.")
]


@app.command()
def create(
    url: Annotated[str, typer.Argument(metavar="URL", help="The address, https or http.")],
    event_type: Annotated[
        list[str], typer.Option("--type", metavar="TYPE", help="What it is told of, job.succeeded say; repeatable.")
    ],
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    disabled: Annotated[bool, typer.Option("--disabled", help="Told of nothing until it is enabled.")] = False,
    request_id: RequestId = "",
    server: Server = DEFAULT_SERVER,
    timeout: Timeout = None,
    as_json: AsJson = False,
) -> None:
    """Make an endpoint, and show its secret, this once."""
    from gleaner_client.cli import endpoints

    new = endpoints.New(url, event_type, description, disabled, request_id)
    endpoints.create(new, server=server, timeout=timeout, as_json=as_json)


@app.command("list")
def list_(server: Server = DEFAULT_SERVER, timeout: Timeout = None, as_json: AsJson = False) -> None:
    """List the endpoints, newest first."""
    from gleaner_client.cli import endpoints

    endpoints.list_(server=server, timeout=timeout, as_json=as_json)


@app.command()
def get(
    endpoint: EndpointName, server: Server = DEFAULT_SERVER, timeout: Timeout = None, as_json: AsJson = False
) -> None:
    """Show an endpoint."""
    from gleaner_client.cli import endpoints

    endpoints.get(endpoint, server=server, timeout=timeout, as_json=as_json)


@app.command()
def update(
    endpoint: EndpointName,
    url: Annotated[str | None, typer.Option(help="Another address.")] = None,
    event_type: Annotated[
        list[str] | None, typer.Option("--type", metavar="TYPE", help="In the place of all types; repeatable.")
    ] = None,
    description: Annotated[str | None, typer.Option(help="What it is for.")] = None,
    disabled: Annotated[bool | None, typer.Option("--disable/--enable", help="Whether it is told of nothing.")] = None,
    server: Server = DEFAULT_SERVER,
    timeout: Timeout = None,
    as_json: AsJson = False,
) -> None:
    """Change an endpoint; what is not given stays as it is."""
    from gleaner_client.cli import endpoints

    changes = endpoints.Changes(url, event_type or None, description, disabled)
    endpoints.update(endpoint, changes, server=server, timeout=timeout, as_json=as_json)


@app.command()
def rotate(
    endpoint: EndpointName,
    expire_previous: Annotated[
        bool, typer.Option("--expire-previous", help="The secret before it ends at once, as one that leaked must.")
    ] = False,
    request_id: RequestId = "",
    server: Server = DEFAULT_SERVER,
    timeout: Timeout = None,
    as_json: AsJson = False,
) -> None:
    """Give an endpoint a new secret, and show it, this once. The one before it signs, too, until the next rotation."""
    from gleaner_client.cli import endpoints

    endpoints.rotate(endpoint, expire_previous, request_id, server=server, timeout=timeout, as_json=as_json)


@app.command()
def delete(
    endpoint: EndpointName,
    allow_missing: Annotated[bool, typer.Option("--allow-missing", help="It is no error if there is none.")] = False,
    server: Server = DEFAULT_SERVER,
    timeout: Timeout = None,
) -> None:
    """Remove an endpoint; what it is still owed is given up."""
    from gleaner_client.cli import endpoints

    endpoints.delete(endpoint, allow_missing, server=server, timeout=timeout)


@app.command()
def deliveries(
    job: Annotated[str, typer.Option(help="Only those of this job.")] = "",
    state: Annotated[list[Delivery] | None, typer.Option(case_sensitive=False, help="Only these states.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    server: Server = DEFAULT_SERVER,
    timeout: Timeout = None,
    as_json: AsJson = False,
) -> None:
    """List what is or was to be sent, to endpoints and callback URLs, newest first."""
    from gleaner_client.cli import sent

    sent.list_(job, state or (), limit, server=server, timeout=timeout, as_json=as_json)


@app.command()
def redeliver(
    delivery: Annotated[str, typer.Argument(metavar="DELIVERY", help="The delivery: deliveries/UUID~ENDPOINT.")],
    server: Server = DEFAULT_SERVER,
    timeout: Timeout = None,
    as_json: AsJson = False,
) -> None:
    """Send again what was delivered or given up; one that is under way is left as it is."""
    from gleaner_client.cli import sent

    sent.again(delivery, server=server, timeout=timeout, as_json=as_json)
