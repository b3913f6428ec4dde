"""The demo: the suite on this machine, and a real invoice and a real receipt sent through it.

It runs the same commands that anybody would type, and prints each before it runs it.
"""

import asyncio
import json
import os
import sys
import time
from asyncio.subprocess import PIPE
from pathlib import Path

from gleaner_stack.binaries import PostgresError
from gleaner_stack.processes import StackError
from gleaner_stack.supervisor import SCRIPTS, Stack, StackOptions
from gleaner_stack.terminal import WIDTH

DOCUMENTS = {"invoice.pdf": "invoice.schema.json", "receipt.jpg": "receipt.schema.json"}


class CommandFailed(Exception):
    """A `gleaner` command ended with another status than 0."""


def run_demo(samples: Path, out: Path) -> int:
    """Run the demo on the documents of `samples`, pictures and log into `out`; returns the exit status."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / "stack.log"
    begun = time.monotonic()
    _say(f"starting Postgres, api, worker, bbox worker and reaper; their log is {path}")
    try:
        with path.open("w", encoding="utf-8", buffering=1) as file:
            stack = Stack(StackOptions(), lambda name, line: file.write(f"{name:<{WIDTH}} | {line}\n"))
            asyncio.run(_show(stack, samples, out))
    except (StackError, PostgresError, CommandFailed) as error:
        last = path.read_text(encoding="utf-8").splitlines()[-20:]
        _say("\n".join([str(error), *([f"the end of {path}:"] if last else []), *last]))
        return 1
    _say(f"\neverything was ended again; {time.monotonic() - begun:.1f} s in all")
    return 0


async def _show(stack: Stack, samples: Path, out: Path) -> None:
    begun = time.monotonic()
    async with stack:
        _say(f"all of them serve at {stack.api_address} after {time.monotonic() - begun:.1f} s")
        await _tour(stack.api_address, samples, out)


async def _tour(server: str, samples: Path, out: Path) -> None:
    jobs = {}
    for document, schema in DOCUMENTS.items():
        answer = await _gleaner(server, "submit", samples / document, "--schema", samples / schema, "--json")
        jobs[document] = json.loads(answer)["name"]
        _say(jobs[document])
    for document, job in jobs.items():
        await _gleaner(server, "watch", job, shown=True)
        await _gleaner(server, "result", job, "--wait", shown=True)
        await _gleaner(server, "overlay", job, samples / document, "--out", out, shown=True)


async def _gleaner(server: str, *arguments: str | Path, shown: bool = False) -> bytes:
    """Run a command of `gleaner`; its answer goes to the terminal if `shown`, else it is returned."""
    command = ["gleaner", *map(str, arguments)]
    _say(f"\n$ {' '.join(command)}")
    process = await asyncio.create_subprocess_exec(
        SCRIPTS / "gleaner", *command[1:], stdout=None if shown else PIPE, env=os.environ | {"GLEANER_SERVER": server}
    )
    answer, _ = await process.communicate()
    if process.returncode != 0:
        raise CommandFailed(f"the command ended with status {process.returncode}")
    return answer or b""


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
