"""Becomes another program that ends when its parent does, even if the parent is killed with -9.

Run as a script of its own, never imported: `python guard.py SIGNAL PARENT_PID UID GID COMMAND...` (uid -1: stay who you
are). The death signal must be set after the change of user, which clears it, and before exec, which keeps it; and an
unprivileged user cannot start the interpreter of a checkout under root's home, so the change of user happens in here.
Nothing is forked: the process keeps its id, so whoever started it signals the program itself.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def main(death_signal: int, parent: int, uid: int, gid: int, command: list[str]) -> None:
    """Replace this process by `command`; leave at once if `parent` is gone already."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl if sys.platform == "linux" else None  # elsewhere: no such promise
    if uid >= 0:
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
