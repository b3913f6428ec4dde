"""The suite as a cluster runs it, without a cluster: Deployments, their autoscalers, a Postgres."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TextIO

import grpc.aio
from rehearsal.autoscaler import Autoscaler
from rehearsal.deployment import SURGE, Deployment
from rehearsal.plan import Plan

from gleaner_client.channel import SERVICE_CONFIG
from gleaner_repo import Database, DatabaseSettings, open_database
from gleaner_repo.migrate import migrate
from gleaner_stack.ports import free_ports
from gleaner_stack.postgres import EmbeddedPostgres
from gleaner_stack.supervisor import COMMANDS


@dataclass(slots=True)
class Diary:
    """What happened when, in seconds from the start."""

    began: float = field(default_factory=time.monotonic)
    lines: list[str] = field(default_factory=list)

    def __call__(self, what: str) -> None:
        self.lines.append(f"{time.monotonic() - self.began:6.1f} s  {what}")


@dataclass(frozen=True, slots=True)
class Fleet:
    """The running suite. `target` is what a client calls: all apis, which it balances itself."""

    api: Deployment
    workers: Autoscaler
    bbox_workers: Autoscaler
    database: Database
    diary: Diary

    @property
    def target(self) -> str:
        """All addresses that an api may have, as one target."""
        return f"ipv4:{','.join(self.api.addresses)}"

    @property
    def deployments(self) -> tuple[Deployment, Deployment, Deployment]:
        """All services."""
        return self.api, self.workers.deployment, self.bbox_workers.deployment


@asynccontextmanager
async def running(plan: Plan) -> AsyncIterator[Fleet]:
    """The fleet, serving and scaled by the figures of its own api; what all of it logs is in `rehearsal.log`."""
    plan.out.mkdir(parents=True, exist_ok=True)
    diary = Diary()
    async with AsyncExitStack() as exits:
        log = exits.enter_context((plan.out / "rehearsal.log").open("w", encoding="utf-8", buffering=1))
        postgres = await exits.enter_async_context(EmbeddedPostgres(settings={"max_connections": "200"}))
        await migrate(postgres.url)
        settings = DatabaseSettings(database_url=postgres.url, database_pool_size=2)
        database = await exits.enter_async_context(open_database(settings, name="rehearsal"))
        group = await exits.enter_async_context(asyncio.TaskGroup())
        api, worker, bbox = _deployments(plan, postgres.url, log, group, diary)
        await asyncio.gather(api.scale(plan.apis), worker.scale(1), bbox.scale(1))
        for deployment in (bbox, worker, api):
            exits.push_async_callback(deployment.scale, 0)
        options = [("grpc.service_config", SERVICE_CONFIG), ("grpc.max_reconnect_backoff_ms", 1000)]
        channel = await exits.enter_async_context(
            grpc.aio.insecure_channel(f"ipv4:{','.join(api.addresses)}", options=options)
        )
        scalers = [
            Autoscaler(
                deployment,
                channel,
                leg=leg,
                jobs_per_replica=plan.jobs_per_replica,
                maximum=maximum,
                poll=plan.poll,
                quiet=plan.quiet,
            )
            for deployment, leg, maximum in (
                (worker, "extraction", plan.max_workers),
                (bbox, "refinement", plan.max_bbox_workers),
            )
        ]
        stop = asyncio.Event()
        for scaler in scalers:
            group.create_task(scaler.run(stop))
        exits.callback(stop.set)
        yield Fleet(api, scalers[0], scalers[1], database, diary)


def _deployments(
    plan: Plan, url: str, log: TextIO, group: asyncio.TaskGroup, diary: Diary
) -> tuple[Deployment, Deployment, Deployment]:
    sizes = {"api": plan.apis, "worker": plan.max_workers, "bbox-worker": plan.max_bbox_workers}
    ports = iter(free_ports(sum(sizes.values()) + 2 * SURGE * len(sizes)))

    def heard(name: str, line: str) -> None:
        log.write(f"{name:<16} | {line}\n")

    api, worker, bbox = (
        Deployment(name, COMMANDS[name], [next(ports) for _ in range(size + 2 * SURGE)], heard, group, diary)
        for name, size in sizes.items()
    )
    for deployment in (api, worker, bbox):
        deployment.environment = {
            **plan.environment,
            "GLEANER_DATABASE_URL": url,
            "GLEANER_WORKER_ADDRESSES": ",".join(worker.addresses),
            "GLEANER_BBOX_WORKER_ADDRESSES": ",".join(bbox.addresses),
        }
    return api, worker, bbox
