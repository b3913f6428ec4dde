"""What is measured of every queue in the same way: enqueue, drain, pickup and steady load, recovery."""

import json
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.queue.adapters.stopwatch import quantiles
from bench.queue.programs import Failed, Service, Worker, answer, busy
from bench.queue.server import Server
from bench.queue.subjects import Options, Subject

Figures = dict[str, float]

DRAIN_PATIENCE_S = 15.0
FILL_BATCH = 1000


@dataclass
class Bench:
    """A queue in a database of its own on the server of the run. `api`: the process that calls go through."""

    server: Server
    subject: Subject
    url: str
    scratch: Path
    api: Service | None = None

    @property
    def log(self) -> Path:
        return self.scratch / f"{self.subject.name}.log"

    def ask(self, mode: str, *, patience: float = 120, **options: Any) -> dict[str, Any]:
        """What the adapter answers."""
        through = {"api": self.api.address} if self.api else {}
        return answer(
            self.subject.command, mode, {"url": self.url, **through, **options}, self.subject.environment, patience
        )

    def worker(self, options: Options) -> Worker:
        return Worker(self.subject.command, {"url": self.url, **options}, self.subject.environment, self.log)

    def empty(self) -> None:
        """No jobs, no history, and a checkpoint behind us."""
        self.server.execute(self.url, "SET lock_timeout = '5s'", *self.subject.reset)
        self.server.execute(self.server.url, "CHECKPOINT")

    def left(self) -> int:
        return int(self.server.fetch(self.url, self.subject.left)[0][0])

    def cpu(self) -> Mapping[str, float]:
        return {"postgres": self.server.cpu(), "api": self.api.cpu if self.api else 0.0}


def enqueue(bench: Bench, jobs: int, callers: int, batch: int) -> Figures:
    """Jobs a second that are stored by so many callers, one or many a call."""
    bench.empty()
    with _contention() as contention:
        cpu, wal = bench.cpu(), bench.server.wal()
        told = bench.ask("enqueue", jobs=jobs, callers=callers, batch=batch)
        used, written = _since(bench.cpu(), cpu), bench.server.wal() - wal
    return {
        "rate": told["rate"],
        "p50": told["p50"],
        "p99": told["p99"],
        "producer_ms": told["cpu"] * 1e3 / told["jobs"],
        "postgres_ms": used["postgres"] * 1e3 / told["jobs"],
        "api_ms": used["api"] * 1e3 / told["jobs"],
        "wal": written / told["jobs"],
        **contention,
    }


def drain(bench: Bench, jobs: int, workers: int, options: Options, *, bare: bool = False) -> Figures:
    """Jobs a second from the first that is begun to the last that is over. `bare`: jobs without bodies, for the WAL."""
    bench.empty()
    before = bench.server.wal()
    jobs = int(bench.ask("enqueue", jobs=max(jobs, FILL_BATCH), batch=FILL_BATCH, bare=bare)["jobs"])
    filled = bench.server.wal()
    if not bare:  # else images of whole pages would hide what the moves themselves write
        bench.server.execute(bench.server.url, "CHECKPOINT")
    with ExitStack() as stack, _contention() as contention:
        begun, cpu = bench.server.wal(), bench.cpu()
        running = [stack.enter_context(bench.worker(options)) for _ in range(workers)]
        give_up = time.time() + DRAIN_PATIENCE_S
        while sum(worker.count for worker in running) < jobs and time.time() < give_up:
            if not all(worker.alive for worker in running):
                raise Failed(f"a worker ended: see {bench.log}")
            time.sleep(0.005)
        while bench.left() and time.time() < give_up:
            time.sleep(0.004)
        ended = time.time()
        done = jobs - bench.left()
        used, written = _since(bench.cpu(), cpu), bench.server.wal() - begun
        workers_cpu = sum(worker.cpu for worker in running)
    first = min((worker.first for worker in running if worker.first), default=ended)
    return {
        "rate": done / max(ended - first, 1e-6),
        "postgres_ms": used["postgres"] * 1e3 / max(done, 1),
        "worker_ms": workers_cpu * 1e3 / max(done, 1),
        "wal_enqueue": (filled - before) / jobs,
        "wal_drain": written / max(done, 1),
        "wal": (filled - before) / jobs + written / max(done, 1),
        "left": jobs - done,
        **contention,
    }


def paced(bench: Bench, rate: float, seconds: float, options: Options, *, through_api: bool = False) -> Figures:
    """Milliseconds from the submit to the start and to the end of a job, and the CPU a job costs, at a steady rate."""
    bench.empty()
    record = bench.scratch / "record.json"
    record.unlink(missing_ok=True)
    with ExitStack() as stack:
        worker = stack.enter_context(bench.worker({**options, "record": str(record)}))
        worker.wait_ready()
        if through_api:
            bench = replace(bench, api=stack.enter_context(api_of(bench, worker.address)))
        offer: dict[str, Any] = {"offer": worker.address} if worker.address else {}
        contention = stack.enter_context(_contention())
        bench.ask("produce", rate=rate, seconds=0.5, **offer)  # connections and plans are made
        _wait_done(bench, 30)
        cpu, working, wal = bench.cpu(), worker.cpu, bench.server.wal()
        told = bench.ask("produce", rate=rate, seconds=seconds, patience=10 * seconds + 60, **offer)
        _wait_done(bench, 30)
        used, worked, written = _since(bench.cpu(), cpu), worker.cpu - working, bench.server.wal() - wal
        worker.end(signal.SIGTERM)
    jobs = told["jobs"]
    costs = {
        "postgres_ms": used["postgres"] * 1e3 / jobs,
        "api_ms": used["api"] * 1e3 / jobs,
        "worker_ms": worked * 1e3 / jobs,
        "producer_ms": told["cpu"] * 1e3 / jobs,
    }
    return {
        **_latencies(bench, json.loads(record.read_text()), jobs),
        **costs,
        "cpu_ms": sum(costs.values()),
        "submit_p99": told["p99"],
        "wal": written / jobs,
        **contention,
    }


def recovery(bench: Bench, options: Options, patience: float) -> Figures:
    """Seconds from a worker's kill -9 until another has begun its job again; `patience` if it never did."""
    bench.empty()
    with bench.worker({**options, "sleep": 120}) as victim:
        victim.wait_ready()
        bench.ask("enqueue", jobs=1)
        _wait_for(lambda: victim.first, 20)
        with bench.worker({**options, "sleep": 120}) as other:
            other.wait_ready()
            time.sleep(0.5)  # it has looked for work once, and found none
            victim.end(signal.SIGKILL)
            killed = time.time()
            _wait_for(lambda: other.first, patience)
            return {"seconds": (other.first or killed + patience) - killed, "recovered": float(other.first is not None)}


def api_of(bench: Bench, worker_address: str = "") -> Service:
    """The api as a process of its own."""
    environment = {"GLEANER_DATABASE_URL": bench.url, "GLEANER_WORKER_ADDRESSES": worker_address}
    return Service("gleaner_api", environment, bench.scratch / "api.log")


def _latencies(bench: Bench, record: Mapping[str, Any], jobs: int) -> Figures:
    starts = record["starts"][-jobs:]  # the first ones warmed up
    submitted = {job_id: at for job_id, at, _ in starts}
    ends = record.get("ends") or []
    if bench.subject.ends:
        ends = [tuple(row) for row in bench.server.fetch(bench.url, bench.subject.ends)]
    start = quantiles([begun - at for _, at, begun in starts])
    end = quantiles([ended - submitted[job_id] for job_id, ended in ends if job_id in submitted])
    return {
        "handled": len(starts),
        "p50": start["p50"],
        "p99": start["p99"],
        "end_p50": end.get("p50", 0.0),
        "end_p99": end.get("p99", 0.0),
    }


def _wait_done(bench: Bench, patience: float) -> None:
    give_up = time.time() + patience
    while bench.left() and time.time() < give_up:
        time.sleep(0.05)


def _wait_for(what: Any, patience: float) -> None:
    give_up = time.time() + patience
    while not what() and time.time() < give_up:
        time.sleep(0.01)


def _since(now: Mapping[str, float], before: Mapping[str, float]) -> Mapping[str, float]:
    return {name: now[name] - before[name] for name in now}


@contextmanager
def _contention() -> Iterator[Figures]:
    """Filled with `busy` at the end of the block: how many cores everybody used meanwhile, others included."""
    figures: Figures = {}
    begun, used = time.time(), busy()
    try:
        yield figures
    finally:
        figures["busy"] = (busy() - used) / max(time.time() - begun, 1e-3)
