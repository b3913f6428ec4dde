"""What a failed call told, taken apart."""

from collections.abc import Awaitable
from typing import Any, TypeVar

import grpc.aio
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

M = TypeVar("M", bound=Message)


async def refused(call: Awaitable[Any]) -> grpc.aio.AioRpcError:
    """The error that the call ends with."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


def detail(error: grpc.aio.AioRpcError, kind: type[M]) -> M | None:
    """The detail of this kind that came with the error."""
    trailers = dict(error.trailing_metadata() or ())
    status = status_pb2.Status.FromString(trailers.get("grpc-status-details-bin", b""))
    for packed in status.details:
        message = kind()
        if packed.Unpack(message):
            return message
    return None


def reason(error: grpc.aio.AioRpcError) -> str:
    """The stable reason of the error; empty if gRPC itself made it."""
    info = detail(error, error_details_pb2.ErrorInfo)
    return str(info.reason) if info else ""


def fields(error: grpc.aio.AioRpcError) -> dict[str, str]:
    """What was wrong with the request: reason by field."""
    bad = detail(error, error_details_pb2.BadRequest)
    return {violation.field: violation.reason for violation in bad.field_violations} if bad else {}
