"""A job's trace in a backend that is not ours, read back through its API. Runs where `tools/phoenix` has been run."""

import pytest

from support import phoenix
from support.postgres import Databases
from support.traced_suite import traced_suite
from support.webhook_receiver import WebhookReceiver

STAGES = {
    "claim extraction",
    "run extraction",
    "read",
    "extract",
    "validate",
    "claim refinement",
    "run refinement",
    "ground",
}


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_real_backend_has_the_whole_trace_of_a_job_and_no_orphan(postgres: Databases) -> None:
    phoenix.installed()
    with WebhookReceiver() as webhooks:
        async with (
            phoenix.phoenix() as backend,
            traced_suite(postgres, backend.endpoint, **phoenix.PROJECT) as suite,
        ):
            trace = await suite.call("--callback", webhooks.url, **phoenix.PROJECT)
            for _ in range(2):
                await webhooks.received(30)
            spans = await backend.spans(trace, wanted=20)

    ids = {span["context"]["span_id"] for span in spans}
    assert [span["name"] for span in spans if span["parent_id"] not in ids] == ["order"]
    assert {span["name"] for span in spans} >= STAGES | {"POST", "submit extraction", "send job.succeeded"}
    told = str([span["attributes"] for span in spans])
    assert "FA-2017-0008" not in told
    assert "invoice.pdf" not in told
