"""Errors of another service of the suite, as they come out of a channel."""

from datetime import timedelta

import grpc
import grpc.aio
from google.rpc import status_pb2
from grpc_status import rpc_status

from gleaner_core.errors import DeadlinePassed, GleanerError, NoRoom, PeerUnavailable


class Relayed(GleanerError):
    """What another service of the suite answered, passed on as it is."""

    def __init__(self, status: status_pb2.Status) -> None:
        self.status = status
        super().__init__(status.message)


def translated(error: grpc.aio.AioRpcError, service: str) -> GleanerError | grpc.aio.AioRpcError:
    """The error for our own caller: passed on if the service itself gave it, else by what gRPC says of the connection;
    unchanged if it is a bug.
    """
    code = error.code()
    if code is grpc.StatusCode.INTERNAL:
        return error
    if (status := rpc_status.from_call(error)) is not None:
        return Relayed(status)
    if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
        return PeerUnavailable(service)
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return NoRoom()
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return DeadlinePassed(timedelta(0))
    return error
