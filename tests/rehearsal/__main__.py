"""`make rehearsal`: scaling and rolling restarts under load; as the last line what failed and what was lost."""

import argparse
import asyncio
import json
import logging
import sys
import time
from pathlib import Path

from rehearsal.plan import Plan
from rehearsal.run import rehearsal


def main() -> int:
    """The exit status: 0 if nothing failed, nothing was lost, and all came about."""
    parser = argparse.ArgumentParser(prog="rehearsal", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often it grows, shrinks, and is all replaced")
    parser.add_argument("--job-rate", type=float, default=2, help="jobs a second")
    parser.add_argument("--sync-rate", type=float, default=1, help="synchronous calls a second")
    parser.add_argument("--apis", type=int, default=2)
    parser.add_argument("--max-workers", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder of rehearsal.json and rehearsal.log")
    told = parser.parse_args()
    told.out.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(filename=told.out / "rehearsal.own.log", filemode="w", format="%(asctime)s %(message)s")
    report = asyncio.run(rehearsal(Plan(**vars(told), seed=time.time_ns() % 100_000)))
    sys.stdout.write(json.dumps(report, indent=2) + "\n")
    sys.stdout.write(f"failed {report['failed']}, lost {report['lost']}\n")
    return 1 if report["failed"] or report["lost"] or report["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
