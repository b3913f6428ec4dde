import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from uuid import RFC_4122

from gleaner_core.ids import uuid7

FORKING = """
import os
from gleaner_core.ids import uuid7

uuid7()
if child := os.fork():
    os.waitpid(child, 0)  # an unbuffered print writes twice, and the lines of two processes would mingle
print(uuid7())
"""


def test_ids_are_of_version_7_and_no_two_are_alike() -> None:
    ids = [uuid7() for _ in range(2000)]
    assert {(one.version, one.variant) for one in ids} == {(7, RFC_4122)}
    assert len(set(ids)) == len(ids)
    assert [one.int >> 80 for one in ids] == sorted(one.int >> 80 for one in ids)


def test_threads_that_make_them_at_once_take_none_from_each_other() -> None:
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as threads:
            made = threads.map(lambda _: [uuid7() for _ in range(300)], range(200))
            ids = list(chain.from_iterable(made))
    finally:
        sys.setswitchinterval(usual)
    assert len(set(ids)) == len(ids) == 60_000


def test_a_fork_makes_other_ids() -> None:
    told = subprocess.run([sys.executable, "-c", FORKING], capture_output=True, text=True, check=True).stdout.split()
    chances = {one.replace("-", "")[13:] for one in told}
    assert len(chances) == 2
