"""Exits 0 if the server of this container says SERVING: Docker's counterpart of the gRPC probe of Kubernetes."""

import os
import sys

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc


def serving(port: str) -> bool:
    """Whether the server on `port` of this host answers, and that it serves."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=4)
        except grpc.RpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


if __name__ == "__main__":
    listen = os.environ.get("GLEANER_HEALTH_LISTEN") or os.environ["GLEANER_LISTEN"]  # the first never speaks TLS
    sys.exit(0 if serving(listen.rpartition(":")[2]) else 1)
