"""The api as a process, and what its tests do with it."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import grpc.aio

from gleaner.v1 import jobs_pb2 as pb
from gleaner.v1 import results_pb2
from gleaner.v1.extraction_pb2_grpc import ExtractionServiceStub
from gleaner.v1.jobs_pb2_grpc import JobServiceStub
from gleaner_repo import ClaimedJob, JobRepository
from support.requests import a_submit

API = ["-c", "from gleaner_api.main import run; run()"]
RESULT = results_pb2.ExtractionResult(extractor="test", documents=[results_pb2.DocumentResult(document="invoice.pdf")])


class Api:
    """The api as its callers see it; `jobs` is what a worker does meanwhile."""

    def __init__(self, channel: grpc.aio.Channel, jobs: JobRepository) -> None:
        self.channel = channel
        self.stub = JobServiceStub(channel)
        self.extraction = ExtractionServiceStub(channel)
        self.jobs = jobs

    async def submitted(self, **rest: Any) -> pb.Job:
        """A new job."""
        answer: pb.SubmitJobResponse = await self.stub.SubmitJob(a_submit(**rest))
        return answer.job


def id_of(job: pb.Job) -> UUID:
    return UUID(job.name.removeprefix("jobs/"))


async def claimed(api: Api, job: pb.Job) -> ClaimedJob:
    """The job as a worker that took it has it; others that wait are put back."""
    taken = await api.jobs.mark_running(100, timedelta(seconds=60), uuid4())
    for other in taken:
        if other.id != id_of(job):
            await api.jobs.hand_back(other.lease)
    return next(mine for mine in taken if mine.id == id_of(job))
