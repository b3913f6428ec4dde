"""`python -m bench.queue`: ours, other Postgres queues and the ceilings, interleaved in rounds on one server.

Prints a table with the goals of docs/benchmarks.md; `--json` keeps every measurement, `--chart` draws the table.
"""

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from bench.files import file_to_write
from bench.queue import ceilings, chart, measures, report, subjects
from bench.queue.measures import Bench, Figures
from bench.queue.programs import Failed
from bench.queue.report import Sample
from bench.queue.server import Server

Step = tuple[str, str, str, Callable[[], Figures | None]]
"""A measurement to make: measure, subject, configuration, and what makes it."""

ENQUEUES = ((1, 1, 0.05), (16, 1, 0.4), (1, 100, 1.0), (1, 1000, 1.0))
"""Callers, jobs a call, and which share of the jobs that a run is told to use."""


def main() -> None:
    options = _options()
    peers = subjects.installed([] if options.smoke else [name for name in options.peers.split(",") if name])
    samples: list[Sample] = []
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gleaner-bench-")))
        server = stack.enter_context(Server(options.postgres))
        benches = [_installed(server, subject, scratch) for subject in (subjects.GLEANER, *peers)]
        about = _about(server, options)
        print(", ".join(f"{name} {value}" for name, value in about.items()), flush=True)
        for number in range(options.rounds):
            for step in _round(benches, options, first=number == 0):
                _take(step, number, samples, strict=options.smoke)
    found = report.lines(samples)
    print("\n" + report.table(found))
    if options.json:
        options.json.write_text(json.dumps(report.as_json(samples, about), indent=1) + "\n", "utf-8")
    if options.chart:
        chart.draw(samples, options.chart)


def _take(step: Step, number: int, samples: list[Sample], *, strict: bool) -> None:
    measure, subject, config, take = step
    try:
        figures = take()
    except Failed as error:
        if strict:
            raise
        print(f"{number} {measure:14} {subject:16} {config:16} FAILED, {str(error).splitlines()[0]}", flush=True)
        return
    if figures is not None:
        samples.append(Sample(measure, subject, config, number, figures))
        told = "  ".join(f"{name} {value:,.4g}" for name, value in figures.items())
        print(f"{number} {measure:14} {subject:16} {config:16} {told}", flush=True)


def _round(benches: list[Bench], options: argparse.Namespace, *, first: bool) -> Iterator[Step]:
    """Measure by measure, each queue in turn, so that what drifts on the machine meets all of them."""
    ours = benches[0]
    jobs, seconds = options.jobs, options.seconds
    yield "echo", "ceiling", "", lambda: ceilings.echo(seconds / 3)
    yield "pgbench", "ceiling", "", lambda: ceilings.pgbench(ours.url, max(int(seconds / 3), 1))
    for callers, batch, share in ENQUEUES:
        for bench in benches:
            count = max(int(jobs * share), callers * batch)
            yield f"submit {callers}x{batch}", bench.subject.name, "", _enqueue(bench, count, callers, batch)
    yield "asyncpg submit", "ceiling", "1 x 1000", lambda: _statements(ours, "submit", jobs, 1000)
    yield "submit 64x1", BY_GRPC, "", lambda: _through_api(ours, jobs // 3, 64, 1)
    yield "submit 4x100", BY_GRPC, "", lambda: _through_api(ours, jobs, 4, 100)
    yield "asyncpg finish", "ceiling", "1 x 500", lambda: _statements(ours, "finish", jobs, 500)
    for workers in (1, 2):
        for bench in benches:
            for config, how in bench.subject.drain.items():
                if workers == 1 or config != "default":
                    yield f"drain {workers}", bench.subject.name, config, _drain(bench, jobs, workers, how)
    how = ours.subject.drain["batch 500"]
    yield "drain bare", ours.subject.name, "batch 500", lambda: measures.drain(ours, jobs, 1, how, bare=True)
    for measure, rate in (("pickup", 50), ("steady", 500)):
        for bench in benches:
            for config, how in getattr(bench.subject, measure).items():
                yield measure, bench.subject.name, config, _paced(bench, rate, seconds, how)
        yield measure, BY_GRPC, "default", _paced(ours, rate, seconds, {}, through_api=True)
    if options.recovery:
        for bench in benches if first else benches[:1]:
            config = "default" if "default" in bench.subject.pickup else next(iter(bench.subject.pickup))
            yield "recovery", bench.subject.name, config, _recovery(bench, config, options.recovery)


BY_GRPC = "gleaner by gRPC"


def _enqueue(bench: Bench, jobs: int, callers: int, batch: int) -> Callable[[], Figures]:
    return lambda: measures.enqueue(bench, jobs, callers, batch)


def _drain(bench: Bench, jobs: int, workers: int, how: subjects.Options) -> Callable[[], Figures]:
    return lambda: measures.drain(bench, jobs, workers, how)


def _paced(
    bench: Bench, rate: float, seconds: float, how: subjects.Options, *, through_api: bool = False
) -> Callable[[], Figures]:
    return lambda: measures.paced(bench, rate, seconds, how, through_api=through_api)


def _recovery(bench: Bench, config: str, patience: float) -> Callable[[], Figures]:
    return lambda: measures.recovery(bench, bench.subject.pickup[config], patience)


def _statements(bench: Bench, kind: str, jobs: int, batch: int) -> Figures:
    bench.empty()
    return ceilings.statements(bench.url, kind, jobs, 1, batch)


def _through_api(bench: Bench, jobs: int, callers: int, batch: int) -> Figures:
    with measures.api_of(bench) as api:
        return measures.enqueue(replace(bench, api=api), jobs, callers, batch)


def _installed(server: Server, subject: subjects.Subject, scratch: Path) -> Bench:
    bench = Bench(server, subject, server.create(f"bench_{subject.name}"), scratch)
    bench.ask("install")
    return bench


def _about(server: Server, options: argparse.Namespace) -> dict[str, object]:
    return {
        "at": time.strftime("%Y-%m-%d %H:%M"),
        "PostgreSQL": server.version,
        "Python": platform.python_version(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "jobs": options.jobs,
        "rounds": options.rounds,
        "seconds": options.seconds,
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.queue", description=__doc__)
    parser.add_argument("--peers", default=",".join(subjects.PEERS), help="comma-separated; empty: ours alone")
    parser.add_argument("--jobs", type=int, default=20_000, help="jobs of a throughput measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10, help="length of a measurement at a steady rate")
    parser.add_argument("--recovery", type=float, default=45, help="longest wait for a recovery; 0: none is measured")
    parser.add_argument("--postgres", type=Path, help="programs of another Postgres than the embedded one")
    parser.add_argument("--json", type=file_to_write, help="file for every measurement")
    parser.add_argument("--chart", type=file_to_write, help="PNG to draw")
    parser.add_argument("--smoke", action="store_true", help="ours alone, tiny: only to see that all of it runs")
    options = parser.parse_args()
    if options.smoke:
        options.jobs, options.rounds, options.seconds, options.recovery = 1000, 1, 0.6, 0
    return options


if __name__ == "__main__":
    main()
