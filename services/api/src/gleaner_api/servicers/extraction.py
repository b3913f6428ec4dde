"""ExtractionService: passed on to a worker that has room; and requests checked without running them."""

import grpc.aio

from gleaner.internal.v1 import worker_pb2
from gleaner.internal.v1.worker_pb2_grpc import WorkerServiceStub
from gleaner.v1 import extraction_pb2 as pb
from gleaner.v1.extraction_pb2_grpc import ExtractionServiceServicer
from gleaner_api.validation import RequestCheck
from gleaner_core.errors import InvalidRequest
from gleaner_rpc import Context, Peers, tenant


class ExtractionServicer(ExtractionServiceServicer):
    """Extracts while the caller waits."""

    def __init__(self, *, check: RequestCheck, workers: Peers) -> None:
        self._check = check
        self._workers = workers

    async def Extract(self, request: pb.ExtractRequest, context: Context) -> pb.ExtractResponse:
        """The result of a worker, or what it says of the documents."""
        if findings := self._check.of_call(request):
            raise InvalidRequest(findings)
        asked = worker_pb2.ExtractRequest(request=request.request, tenant_id=tenant(context))

        async def extract(channel: grpc.aio.Channel) -> worker_pb2.ExtractResponse:
            answer: worker_pb2.ExtractResponse = await WorkerServiceStub(channel).Extract(
                asked, timeout=context.time_remaining()
            )
            return answer

        answer = await self._workers.call_any(extract)
        return pb.ExtractResponse(result=answer.result)

    async def ValidateRequest(self, request: pb.ValidateRequestRequest, context: Context) -> pb.ValidateRequestResponse:
        """All findings."""
        findings = await self._check.of_request(request.request)
        return pb.ValidateRequestResponse(
            valid=not findings,
            findings=[pb.Finding(field=f.field, reason=f.reason, description=f.description) for f in findings],
        )
