"""What `get`, `list`, `cancel`, `retry`, `delete`, `watch` and `result` do."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gleaner.v1 import jobs_pb2 as pb
from gleaner_client import printing
from gleaner_client.cli.running import run
from gleaner_client.client import GleanerClient
from gleaner_client.exits import Exit, of_job
from gleaner_core.states import Refinement, State


@dataclass(frozen=True, slots=True)
class Filter:
    """Which jobs to list; times without a zone are local."""

    states: Sequence[State]
    refinements: Sequence[Refinement]
    created_after: datetime | None
    created_before: datetime | None
    request_id: str


def get(job: str, *, server: str, timeout: float | None, as_json: bool) -> None:
    """Show the job."""

    async def work(client: GleanerClient) -> Exit:
        show_job(await client.get(job), as_json)
        return Exit.OK

    run(work, server=server, timeout=timeout)


def list_(which: Filter, limit: int, *, server: str, timeout: float | None, as_json: bool) -> None:
    """Show the jobs that fit, newest first."""

    async def work(client: GleanerClient) -> Exit:
        jobs: list[pb.Job] = []
        found = client.list(
            states=[pb.JobState.Value(f"JOB_STATE_{state}") for state in which.states],
            refinements=[pb.RefinementState.Value(f"REFINEMENT_STATE_{state}") for state in which.refinements],
            created_after=_zoned(which.created_after),
            created_before=_zoned(which.created_before),
            request_id=which.request_id,
            page_size=min(limit, 1000),
        )
        async for job in found:
            jobs.append(job)
            if len(jobs) == limit:
                break
        if as_json:
            printing.say(printing.as_json(pb.ListJobsResponse(jobs=jobs)))
        elif jobs:
            printing.out().print(printing.jobs_table(jobs))
        else:
            printing.note("no jobs")
        return Exit.OK

    run(work, server=server, timeout=timeout)


def cancel(job: str, running: bool, reason: str, *, server: str, timeout: float | None, as_json: bool) -> None:
    """Cancel the job and show how it ended."""

    async def work(client: GleanerClient) -> Exit:
        show_job(await client.cancel(job, allow_running=running, reason=reason), as_json)
        return Exit.OK

    run(work, server=server, timeout=timeout)


def retry(job: str, *, server: str, timeout: float | None, as_json: bool) -> None:
    """Start the job again and show it."""

    async def work(client: GleanerClient) -> Exit:
        show_job(await client.retry(job), as_json)
        return Exit.OK

    run(work, server=server, timeout=timeout)


def delete(job: str, allow_missing: bool, *, server: str, timeout: float | None) -> None:
    """Remove the job."""

    async def work(client: GleanerClient) -> Exit:
        await client.delete(job, allow_missing=allow_missing)
        return Exit.OK

    run(work, server=server, timeout=timeout)


def watch(job: str, after_seq: int, *, server: str, timeout: float | None, as_json: bool) -> None:
    """Print the job's moves until it is over; the exit status tells how it ended."""

    async def work(client: GleanerClient) -> Exit:
        last = pb.Job()
        async for message in client.watch(job, after_seq=after_seq):
            last = message.job if message.job.seq >= last.seq else last
            if as_json:
                printing.say(printing.as_json_line(message))
            else:
                printing.out().print(printing.move_text(message))
        return of_job(last)

    run(work, server=server, timeout=timeout)


def result(job: str, wait: bool, *, server: str, timeout: float | None, as_json: bool) -> None:
    """Show what the job found."""

    async def work(client: GleanerClient) -> Exit:
        answer = await client.result(job, wait=math.inf if wait else 0)
        return show_result(answer, as_json)

    run(work, server=server, timeout=timeout)


def show_job(job: pb.Job, as_json: bool) -> None:
    """The job, on stdout."""
    if as_json:
        printing.say(printing.as_json(job))
    else:
        printing.out().print(printing.job_table(job))


def show_result(answer: pb.GetJobResultResponse, as_json: bool) -> Exit:
    """The result, on stdout; what is still to come or was given up, on stderr."""
    if as_json:
        printing.say(printing.as_json(answer))
    else:
        for part in printing.result_tables(answer.result):
            printing.out().print(part)
    if answer.job.refinement in (pb.REFINEMENT_STATE_PENDING, pb.REFINEMENT_STATE_RUNNING):
        printing.note("The boxes are still being looked for; --wait waits for them.", "yellow")
    elif answer.job.refinement in (pb.REFINEMENT_STATE_FAILED, pb.REFINEMENT_STATE_CANCELLED):
        printing.note("The search for the boxes was given up; the values are as the extraction left them.", "yellow")
    return of_job(answer.job)


def _zoned(moment: datetime | None) -> datetime | None:
    return moment.astimezone() if moment else None
