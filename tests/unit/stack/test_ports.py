"""Ports that a server is told to take some time after they were looked for."""

import socket
from pathlib import Path

import pytest

from gleaner_stack import ports
from gleaner_stack.ports import free_ports


def test_ports_are_different_and_none_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server((ports.LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(ports, "_OURS", range(port, port + 6))

        found = free_ports(3)

    assert len(set(found)) == 3
    assert port not in found


def test_nobody_is_given_one_of_them_meanwhile() -> None:
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])

    assert max(free_ports(50)) < lowest
