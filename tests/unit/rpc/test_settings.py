"""Limits that must fit together."""

import pytest

from gleaner.v1 import jobs_pb2, results_pb2
from gleaner_rpc import GrpcSettings

MEBIBYTE = 2**20


@pytest.mark.parametrize("largest", [MEBIBYTE, 40 * MEBIBYTE])
def test_the_largest_result_can_be_sent_with_all_that_a_job_may_tell(largest: int) -> None:
    settings = GrpcSettings(max_message_bytes=largest)
    result = results_pb2.ExtractionResult()
    result.extractor = "x" * (settings.max_result_bytes - 4 - 1)
    job = jobs_pb2.Job(
        metadata={f"{n:064}": "\N{GRINNING FACE}" * 1024 for n in range(64)},
        documents=["\N{GRINNING FACE}" * 255] * 20,
        callback_url="x" * 2048,
    )

    assert settings.max_result_bytes - 4 < result.ByteSize() <= settings.max_result_bytes
    assert jobs_pb2.GetJobResultResponse(job=job, result=result).ByteSize() < largest
