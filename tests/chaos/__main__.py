"""`make chaos`: a run of minutes or hours, its report, and as the last line what was lost and what was doubled."""

import argparse
import asyncio
import json
import logging
import sys
import time
from pathlib import Path

from chaos.plan import Plan
from chaos.run import chaos


def main() -> int:
    """The exit status: 0 if everything was as promised."""
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=300, help="how long load and faults last")
    parser.add_argument("--lease", type=float, default=3, help="lease of jobs; 0: the suite's own settings, unhurried")
    parser.add_argument("--rate", type=float, default=2, help="jobs a second")
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--reapers", type=int, default=2)
    parser.add_argument("--kill-every", type=float, default=6, help="pause between two kills, on average")
    parser.add_argument("--only-workers", action="store_true", help="kill nothing but workers of both kinds")
    parser.add_argument("--trouble-every", type=float, default=12, help="pause between two troubles of other kinds")
    parser.add_argument("--pgbouncer", action="store_true", help="all services reach Postgres through a PgBouncer")
    parser.add_argument("--seed", type=int, default=None, help="makes the same choices again; the timing stays free")
    parser.add_argument("--out", type=Path, help="folder of report, log and history; its own in out/chaos, if not told")
    told = parser.parse_args()
    seed = time.time_ns() % 100_000 if told.seed is None else told.seed
    # A folder a run: the log of the one that went wrong must still be there after the next.
    told.out = told.out or Path("out/chaos") / f"{time.strftime('%Y%m%d-%H%M%S')}-{seed}"
    told.out.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(filename=told.out / "chaos.own.log", filemode="w", format="%(asctime)s %(message)s")
    report = asyncio.run(chaos(Plan(**{**vars(told), "seed": seed})))
    sys.stdout.write(json.dumps(report, indent=2) + "\n")
    sys.stdout.write(f"log and history: {told.out}\n")
    sys.stdout.write(f"lost {report['lost']}, doubled {report['doubled']}\n")
    return 1 if report["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())
