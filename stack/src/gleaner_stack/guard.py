"""Runs a program such that it ends when its parent does, even if the parent is killed with -9.

`guarded` gives the command line; the program behind it is this file, run as a script, which becomes the program
proper. Nothing is forked: the process keeps its id, so whoever started it signals the program itself. The death signal
must be set after the change of user, which clears it, and before exec, which keeps it; and an unprivileged user cannot
start the interpreter of a checkout under root's home, so the change of user happens in here.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1
NOBODY_ELSE = -1


def guarded(command: list[str], death_signal: int, uid: int = NOBODY_ELSE, gid: int = NOBODY_ELSE) -> list[str]:
    """`command`, which begins with a path, run as that user; it gets `death_signal` when its parent thread ends."""
    guard = [sys.executable, "-I", "-S", __file__, *map(str, (int(death_signal), os.getpid(), uid, gid))]
    return guard + command


def main(death_signal: int, parent: int, uid: int, gid: int, command: list[str]) -> None:
    """Replace this process by `command`; leave at once if `parent` is gone already."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl if sys.platform == "linux" else None  # elsewhere: no such promise
    if uid != NOBODY_ELSE:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if prctl and prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
        sys.exit(f"guard: PR_SET_PDEATHSIG: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != parent:
        sys.exit("guard: the parent is gone")
    os.execv(command[0], command)  # noqa: S606


if __name__ == "__main__":
    death_signal, parent, uid, gid = map(int, sys.argv[1:5])
    main(death_signal, parent, uid, gid, sys.argv[5:])
