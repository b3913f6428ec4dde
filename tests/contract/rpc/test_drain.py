import asyncio
import signal
from pathlib import Path

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.reflection_pb2_grpc import ServerReflectionStub

from gleaner.internal.v1 import offer_pb2 as pb
from gleaner.internal.v1.offer_pb2_grpc import OfferServiceStub
from gleaner_rpc.channels import SERVICE_CONFIG
from support import grpc_errors
from support.service_process import running

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICE = "gleaner.internal.v1.OfferService"
PATIENT = str(Path(grpc_errors.__file__).with_name("patient_server.py"))


async def test_sigterm_flips_health_first_and_a_call_under_way_finishes() -> None:
    async with running([PATIENT]) as service, grpc.aio.insecure_channel(service.address) as channel:
        watches = {
            name: HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=name)) for name in ("", SERVICE)
        }
        for watch in watches.values():
            while (await watch.read()).status != SERVING:
                pass
        call = OfferServiceStub(channel).Offer(pb.OfferRequest())
        await service.logged("called")

        service.ask_to_stop()
        await service.logged("beside was told")
        for watch in watches.values():
            assert (await watch.read()).status == NOT_SERVING
        late = await grpc_errors.refused(OfferServiceStub(channel).Offer(pb.OfferRequest()))
        await service.say("go on")

        assert (await call).free_slots == 7
        # CANCELLED, if it came in the moment when the server closed: clients try both again.
        assert late.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
        assert await service.ended() == 0


async def test_callers_who_balance_leave_a_server_that_drains_for_another() -> None:
    async with (
        running([PATIENT]) as leaving,
        running([PATIENT]) as staying,
        grpc.aio.insecure_channel(leaving.address) as direct,
        grpc.aio.insecure_channel(
            f"ipv4:{leaving.address},{staying.address}", options=[("grpc.service_config", SERVICE_CONFIG)]
        ) as channel,
    ):
        held = OfferServiceStub(direct).Offer(pb.OfferRequest())  # for as long as it lasts, its server drains
        await leaving.logged("called")
        for _ in range(10):  # connected to both by now
            await HealthStub(channel).Check(health_pb2.HealthCheckRequest(), wait_for_ready=True)
        leaving.ask_to_stop()
        await leaving.logged("beside was told")

        # Half of them may meet the moment when it closes, and are repeated; of many more, not all would be.
        calls = [asyncio.ensure_future(OfferServiceStub(channel).Offer(pb.OfferRequest())) for _ in range(8)]
        for _ in calls:
            await staying.say("go on")

        assert {answer.free_slots for answer in await asyncio.gather(*calls)} == {7}
        held.cancel()


async def test_a_call_that_outlasts_the_grace_is_cut_off() -> None:
    async with (
        running([PATIENT], GLEANER_DRAIN_GRACE_S="0.05") as service,
        grpc.aio.insecure_channel(service.address) as channel,
    ):
        call = OfferServiceStub(channel).Offer(pb.OfferRequest())
        await service.logged("called")
        service.ask_to_stop()

        assert (await grpc_errors.refused(call)).code() is grpc.StatusCode.UNAVAILABLE
        await service.say("let the thread go")
        assert await service.ended() == 0


async def test_calls_are_still_taken_while_balancers_have_not_noticed() -> None:
    async with (
        running([PATIENT], GLEANER_DRAIN_PAUSE_S="30") as service,
        grpc.aio.insecure_channel(service.address) as channel,
    ):
        service.ask_to_stop()
        await service.logged("draining")
        call = OfferServiceStub(channel).Offer(pb.OfferRequest())
        await service.say("go on")

        assert (await call).free_slots == 7


async def test_a_second_signal_ends_the_process_at_once() -> None:
    async with running([PATIENT], GLEANER_DRAIN_PAUSE_S="30") as service:
        service.ask_to_stop()
        await service.logged("draining")
        service.ask_to_stop(signal.SIGTERM)

        assert await service.ended() == -signal.SIGTERM


async def test_reflection_lists_the_services_and_may_be_turned_off() -> None:
    ask = reflection_pb2.ServerReflectionRequest(list_services="")
    async with running([PATIENT]) as service, grpc.aio.insecure_channel(service.address) as channel:
        call = ServerReflectionStub(channel).ServerReflectionInfo(iter([ask]))
        names = {found.name for found in (await call.read()).list_services_response.service}
    async with (
        running([PATIENT], GLEANER_REFLECTION="false") as service,
        grpc.aio.insecure_channel(service.address) as channel,
    ):
        # Nothing is said: a refusal that meets the caller's own words is told as INTERNAL by gRPC.
        off = await ServerReflectionStub(channel).ServerReflectionInfo().code()

    assert names == {SERVICE, "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}
    assert off is grpc.StatusCode.UNIMPLEMENTED


async def test_an_address_that_is_taken_is_told_with_the_way_out() -> None:
    async with (
        running([PATIENT]) as first,
        running([PATIENT], listening=False, GLEANER_LISTEN=first.address) as second,
    ):
        assert await second.ended() == 1
        assert any("set GLEANER_LISTEN" in line["message"] for line in second.lines)
