"""A stand-in for KEDA and the HPA: asks the api's external scaler over gRPC, and sets a Deployment's size.

What it does is what they do (https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/,
https://keda.sh/docs/latest/concepts/scaling-deployments/), only sooner.
"""

import asyncio
import math
import time
from collections import deque
from contextlib import suppress

import grpc.aio
from externalscaler import externalscaler_pb2 as pb
from externalscaler.externalscaler_pb2_grpc import ExternalScalerStub
from rehearsal.deployment import Deployment

_TOLERANCE = 0.1  # a figure this near to the target changes nothing


class Autoscaler:
    """Keeps one Deployment at the size that its leg's work needs.

    `minimum` 0 means to zero, after `quiet` seconds without work; a stream wakes it from there. The size never shrinks
    below the largest that was wanted in the last `quiet` seconds, and by one at a time.
    """

    def __init__(
        self,
        deployment: Deployment,
        channel: grpc.aio.Channel,
        *,
        leg: str,
        jobs_per_replica: float,
        maximum: int,
        poll: float,
        quiet: float,
    ) -> None:
        self.deployment = deployment
        self.minimum = 1
        self.failures = 0
        self.most = 0.0  # the largest figure that was told
        self._scaler = ExternalScalerStub(channel)
        self._maximum = maximum
        self._poll = poll
        self._quiet = quiet
        self._recommended: deque[tuple[float, int]] = deque()
        self._worked = time.monotonic()
        self._pushed = asyncio.Event()
        self._ref = pb.ScaledObjectRef(
            name=deployment.name,
            namespace="rehearsal",
            scalerMetadata={"leg": leg, "jobsPerReplica": f"{jobs_per_replica:g}", "scalerAddress": "ours"},
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Polls, and listens to what is pushed, until `stop` is set."""
        async with asyncio.TaskGroup() as group:
            listening = group.create_task(self._listen())
            while not stop.is_set():
                await self._look()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._pushed.wait(), self._poll)
                self._pushed.clear()
            listening.cancel()

    async def _listen(self) -> None:
        while True:
            with suppress(grpc.aio.AioRpcError):  # as KEDA does: again, in a while
                async for answer in self._scaler.StreamIsActive(self._ref):
                    if answer.result:
                        self._pushed.set()
            await asyncio.sleep(self._poll)

    async def _look(self) -> None:
        try:
            figure, target, active = await self._asked()
        except grpc.aio.AioRpcError:
            self.failures += 1  # and what runs is kept
            return
        now = time.monotonic()
        self.most = max(self.most, figure)
        self._worked = now if active else self._worked
        await self.deployment.scale(self._size(figure / target, now))

    async def _asked(self) -> tuple[float, float, bool]:
        [spec] = (await self._scaler.GetMetricSpec(self._ref, timeout=5)).metricSpecs
        asked = pb.GetMetricsRequest(scaledObjectRef=self._ref, metricName=spec.metricName)
        [value] = (await self._scaler.GetMetrics(asked, timeout=5)).metricValues
        active = (await self._scaler.IsActive(self._ref, timeout=5)).result
        return value.metricValueFloat, spec.targetSizeFloat, active

    def _size(self, replicas: float, now: float) -> int:
        size = self.deployment.size
        if self.minimum == 0 and now - self._worked >= self._quiet:
            return 0
        if size and abs(replicas / size - 1) <= _TOLERANCE:
            replicas = size
        wanted = min(max(math.ceil(replicas), self.minimum, 1), self._maximum)
        self._recommended.append((now, wanted))
        while self._recommended[0][0] < now - self._quiet:
            self._recommended.popleft()
        if wanted >= size:
            return wanted
        return max(size - 1, *(each for _, each in self._recommended))
