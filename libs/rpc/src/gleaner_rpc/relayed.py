"""Errors of another service of the suite, as they come out of a channel."""

from datetime import timedelta

import grpc
import grpc.aio
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from gleaner_core.errors import DeadlinePassed, Draining, GleanerError, NoRoom, PeerUnavailable
from gleaner_rpc.status import TABLE


class Relayed(GleanerError):
    """What another service of the suite answered, passed on as it is."""

    def __init__(self, status: status_pb2.Status) -> None:
        self.status = status
        super().__init__(status.message)


def translated(error: grpc.aio.AioRpcError, service: str) -> GleanerError | grpc.aio.AioRpcError:
    """The error for our own caller.

    NoRoom and PeerUnavailable mean that another replica may do; what the service said of the request itself is passed
    on; a bug of the service's stays what it is, and becomes one of ours.
    """
    status = rpc_status.from_call(error)
    reason = _reason(status)
    if not reason:
        return _of_connection(error, service)
    if reason == TABLE[NoRoom].reason:
        return NoRoom()
    if reason == TABLE[Draining].reason:
        return PeerUnavailable(service)
    return error if error.code() is grpc.StatusCode.INTERNAL else Relayed(status)


def _reason(status: status_pb2.Status | None) -> str:
    info = error_details_pb2.ErrorInfo()
    for detail in status.details if status else ():
        if detail.Unpack(info):
            return str(info.reason)
    return ""


def _of_connection(error: grpc.aio.AioRpcError, service: str) -> GleanerError | grpc.aio.AioRpcError:
    match error.code():
        case grpc.StatusCode.UNAVAILABLE | grpc.StatusCode.CANCELLED:
            return PeerUnavailable(service)
        case grpc.StatusCode.RESOURCE_EXHAUSTED:
            return NoRoom()
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return DeadlinePassed(timedelta(0))
    return error
