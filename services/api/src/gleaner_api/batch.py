"""A batch of submits: each request is checked by itself, and what can be stored is stored together."""

import asyncio
from collections.abc import Iterable, Sequence
from uuid import UUID

from gleaner.v1 import jobs_pb2 as pb
from gleaner_api import messages
from gleaner_api.patience import patiently
from gleaner_api.submission import Prepared, Submission
from gleaner_api.validation import RequestCheck
from gleaner_repo import Job, JobRepository, Submitted
from gleaner_rpc import Offers, told

_HANDS = 8
"""So many requests of a batch are checked at a time: most need no wait, but one whose document is new does."""
_IN_A_ROW = 8
"""After so many that needed none, others have their turn: a quarter of a millisecond."""


class Batches:
    """Stores batches."""

    def __init__(self, *, jobs: JobRepository, submission: Submission, check: RequestCheck, offers: Offers) -> None:
        self._jobs = jobs
        self._submission = submission
        self._check = check
        self._offers = offers

    async def submit(self, tenant_id: str, requests: Sequence[pb.SubmitJobRequest]) -> pb.BatchSubmitJobsResponse:
        """A result for each request, in their order."""
        prepared: dict[int, Prepared] = {}
        answers: dict[int, Submitted | BaseException] = {}
        todo = enumerate(requests)

        async def prepare() -> None:
            for number, request in todo:
                try:
                    digests = await self._check.admitted(request)
                    prepared[number] = await self._submission.prepare(tenant_id, request, digests)
                except Exception as error:
                    answers[number] = error
                if number % _IN_A_ROW == 0:
                    await asyncio.sleep(0)

        async with asyncio.TaskGroup() as hands:
            for _ in range(min(_HANDS, len(requests))):
                hands.create_task(prepare())
        answers.update(zip(prepared, await self._submission.store_all(list(prepared.values())), strict=True))
        there = await self._those_there_before(tenant_id, answers.values())
        while gone := [number for number, answer in answers.items() if _is_gone(answer, there)]:
            again = await self._submission.store_all([prepared[number] for number in gone])
            answers.update(zip(gone, again, strict=True))
            there = await self._those_there_before(tenant_id, answers.values())
        if created := sum(isinstance(answer, Submitted) and answer.created for answer in answers.values()):
            self._offers(created)
        response = pb.BatchSubmitJobsResponse()
        for number, request in enumerate(requests):
            _tell(response.results.add(), request, answers[number], there)
        return response

    async def _those_there_before(
        self, tenant_id: str, answers: Iterable[Submitted | BaseException]
    ) -> dict[UUID, Job | Exception]:
        """The jobs that earlier submits made, or why they cannot be told. What is missing was deleted since."""
        ids = {answer.id for answer in answers if isinstance(answer, Submitted) and not answer.created}
        if not ids:
            return {}
        try:
            return dict(await patiently(lambda: self._jobs.get(tenant_id, ids)))
        except Exception as error:
            return dict.fromkeys(ids, error)


def _is_gone(answer: Submitted | BaseException, there: dict[UUID, Job | Exception]) -> bool:
    """Whether the job that had the request was deleted meanwhile: nobody has it now."""
    return isinstance(answer, Submitted) and not answer.created and answer.id not in there


def _tell(
    result: pb.BatchSubmitJobsResult,
    request: pb.SubmitJobRequest,
    answer: Submitted | BaseException,
    there: dict[UUID, Job | Exception],
) -> None:
    if isinstance(answer, Submitted) and answer.created:
        messages.submitted(result.job, request, answer.id, answer.created_at)
        return
    before = there[answer.id] if isinstance(answer, Submitted) else answer
    if isinstance(before, Job):
        result.job.CopyFrom(messages.job(before))
    else:
        result.error.CopyFrom(told(before))
