"""A service that only answers to health, for tests of what starts and stops services.

The environment says how it behaves: STAND_IN=deaf ignores SIGTERM, STAND_IN=broken ends at once; with STAND_IN_CHILD
it has a child of its own.
"""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc


def main() -> None:
    """Serve until SIGTERM."""
    behaviour = os.environ.get("STAND_IN", "")
    if behaviour == "broken":
        sys.exit("stand-in: broken")
    # Taken by sigwait, not by a handler that sets an Event: it may come while the wait has the Event's own lock.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    if "STAND_IN_CHILD" in os.environ:
        subprocess.Popen(["/bin/sleep", "600"])
    server = grpc.server(ThreadPoolExecutor(1))
    if address := os.environ.get("GLEANER_LISTEN"):
        servicer = health.HealthServicer()
        servicer.set("", health_pb2.HealthCheckResponse.SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
        server.add_insecure_port(address)
    server.start()
    sys.stdout.write("stand-in: up\n")
    signal.pause() if behaviour == "deaf" else signal.sigwait({signal.SIGTERM})
    server.stop(0)
    sys.stdout.write("stand-in: ended\n")


if __name__ == "__main__":
    main()
