"""VersionService."""

from collections.abc import Sequence

from gleaner.v1 import version_pb2 as pb
from gleaner.v1.version_pb2_grpc import VersionServiceServicer
from gleaner_core.version import VERSION
from gleaner_rpc import Context


class VersionServicer(VersionServiceServicer):
    """Tells what is running."""

    def __init__(self, *, extractors: Sequence[str]) -> None:
        self._extractors = extractors

    async def GetVersion(self, request: pb.GetVersionRequest, context: Context) -> pb.GetVersionResponse:
        """The version of this server."""
        return pb.GetVersionResponse(version=VERSION, api="gleaner.v1", extractors=self._extractors)
