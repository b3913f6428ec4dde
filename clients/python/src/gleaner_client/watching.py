"""Following a job over a stream that may break."""

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing

import grpc

from gleaner.v1 import jobs_pb2 as pb
from gleaner_client import errors

Open = Callable[[int], "grpc.aio.UnaryStreamCall[pb.WatchJobRequest, pb.WatchJobResponse]"]

SILENCE = 45.0
"""Seconds without a message after which a stream counts as broken; the server sends a sign of life every 15."""

_ATTEMPTS = 8  # in a row, without a message between them
_FIRST_DELAY, _LONGEST_DELAY = 0.1, 5.0

_OVER = {pb.JOB_STATE_SUCCEEDED, pb.JOB_STATE_FAILED, pb.JOB_STATE_CANCELLED}
_REFINEMENT_OVER = {pb.REFINEMENT_STATE_FAILED, pb.REFINEMENT_STATE_CANCELLED}


def is_over(job: pb.Job) -> bool:
    """Whether nothing more will happen to the job by itself."""
    return job.state in _OVER or (job.state == pb.JOB_STATE_PARTIAL_SUCCEEDED and job.refinement in _REFINEMENT_OVER)


async def follow(open_stream: Open, after_seq: int) -> AsyncIterator[pb.WatchJobResponse]:
    """Each message once, until the job is over, over as many streams as it takes.

    A stream begins with the job as it is, and then repeats the moves after `after_seq`: both are needed after a
    break, but what was seen before is left out.
    """
    seen_job = -1  # highest seq of a job that was handed out
    failures = 0
    over = False
    while True:
        try:
            async with aclosing(_messages(open_stream(after_seq))) as messages:
                async for message in messages:
                    failures = 0
                    if not message.HasField("job"):
                        continue  # a sign of life
                    is_event = message.HasField("event")
                    news = message.event.seq > after_seq if is_event else message.job.seq > seen_job
                    if is_event:
                        after_seq = max(after_seq, message.event.seq)
                    if message.job.seq >= seen_job:
                        seen_job, over = message.job.seq, is_over(message.job)
                    if news:
                        yield message
            if over:
                return
            broken: errors.GleanerError = errors.Unavailable("the stream ended before the job did")
        except errors.Unavailable as error:
            broken = error
        failures += 1
        if failures >= _ATTEMPTS:
            raise broken
        delay = min(_LONGEST_DELAY, _FIRST_DELAY * 2**failures)
        await asyncio.sleep(max(random.uniform(0, delay), broken.retry_after or 0))


async def _messages(
    call: "grpc.aio.UnaryStreamCall[pb.WatchJobRequest, pb.WatchJobResponse]",
) -> AsyncGenerator[pb.WatchJobResponse, None]:
    try:
        while True:
            async with asyncio.timeout(SILENCE):
                message = await call.read()
            if not isinstance(message, pb.WatchJobResponse):  # grpc.aio.EOF
                return
            yield message
    except TimeoutError:
        raise errors.Unavailable("the server has fallen silent") from None
    except grpc.aio.AioRpcError as error:
        raise errors.from_rpc(error) from error
    finally:
        call.cancel()
