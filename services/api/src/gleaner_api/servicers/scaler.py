"""KEDA's ExternalScaler: the suite tells how many workers it needs, so that KEDA needs no way into the database."""

import asyncio
import math
from collections.abc import AsyncIterator
from datetime import timedelta

from externalscaler import externalscaler_pb2 as pb
from externalscaler.externalscaler_pb2_grpc import ExternalScalerServicer

from gleaner_api.backlogs import Backlogs
from gleaner_api.patience import patiently
from gleaner_api.scaling import Scaling, scaling_of
from gleaner_core.errors import Finding, InvalidRequest
from gleaner_rpc import Context


class ScalerServicer(ExternalScalerServicer):
    """Tells an autoscaler of the work there is, by leg.

    `longest` is after how long a stream ends: sooner than the connection does, and as one that is over, for KEDA
    comes back from an end in two seconds, but from errors ever later.
    """

    def __init__(self, backlogs: Backlogs, *, longest: timedelta) -> None:
        self._backlogs = backlogs
        self._longest = longest

    async def IsActive(self, request: pb.ScaledObjectRef, context: Context) -> pb.IsActiveResponse:
        """Whether there is work for the leg."""
        scaling = scaling_of(request.scalerMetadata)
        return pb.IsActiveResponse(result=scaling.active(await patiently(self._backlogs.latest)))

    async def StreamIsActive(self, request: pb.ScaledObjectRef, context: Context) -> AsyncIterator[pb.IsActiveResponse]:
        """Whether there is work for the leg, at once and whenever that changes."""
        scaling = scaling_of(request.scalerMetadata)
        until = asyncio.get_running_loop().time() + self._longest.total_seconds()
        told = scaling.active(await patiently(self._backlogs.latest))
        yield pb.IsActiveResponse(result=told)
        async with self._backlogs.following() as follower:
            while (backlog := await follower.next(until)) is not None:
                if scaling.active(backlog) != told:
                    told = not told
                    yield pb.IsActiveResponse(result=told)

    async def GetMetricSpec(self, request: pb.ScaledObjectRef, context: Context) -> pb.GetMetricSpecResponse:
        """The leg's one metric and how much of it a replica is to have."""
        scaling = scaling_of(request.scalerMetadata)
        target = scaling.jobs_per_replica
        spec = pb.MetricSpec(metricName=scaling.metric, targetSize=max(round(target), 1), targetSizeFloat=target)
        return pb.GetMetricSpecResponse(metricSpecs=[spec])

    async def GetMetrics(self, request: pb.GetMetricsRequest, context: Context) -> pb.GetMetricsResponse:
        """The leg's work, in jobs."""
        scaling = _asked(request)
        figure = scaling.figure(await patiently(self._backlogs.latest))
        value = pb.MetricValue(metricName=scaling.metric, metricValue=math.ceil(figure), metricValueFloat=figure)
        return pb.GetMetricsResponse(metricValues=[value])


def _asked(request: pb.GetMetricsRequest) -> Scaling:
    """What the request asks for. Raises InvalidRequest if that is no metric of its trigger."""
    scaling = scaling_of(request.scaledObjectRef.scalerMetadata, "scaledObjectRef.scalerMetadata")
    if request.metricName != scaling.metric:
        raise InvalidRequest([Finding("metricName", "UNKNOWN_METRIC", f"the trigger's metric is {scaling.metric}")])
    return scaling
