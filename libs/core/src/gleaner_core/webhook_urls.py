"""Where webhooks may go: the rule against requests to places that only we can reach (SSRF).

Asked twice: of the URL when it is given, and of every address that its host resolves to when it is called, for a name
may resolve to anything by then.
"""

import ipaddress
import socket
from urllib.parse import urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# What the address library of Python 3.11 takes for public: service addresses and relays of the IANA's registries,
# documentation, and the address at which a cloud's virtual machines find their agent's server.
_NOT_PUBLIC = tuple(
    ipaddress.ip_network(network)
    for network in ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32", "3fff::/20", "fec0::/10")
)
_LOWEST_FREE_PORT = 1024
_PRIVATE_SUFFIXES = (".localhost", ".local", ".internal", ".lan", ".home.arpa", ".svc")


def why_refused(url: str, *, allow_private: bool = False) -> str | None:
    """What is wrong with the URL as the target of a webhook, None if nothing is. Looks nothing up."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "is no URL"
    if any(ord(character) <= 32 or ord(character) == 127 for character in url):
        return "contains spaces or control characters"
    if parts.scheme not in ("http", "https"):
        return "must begin with https:// or http://"
    if not host:
        return "names no host"
    if parts.username is not None or parts.password is not None:
        return "must not contain a user name or password"
    if allow_private:
        return None
    if port is not None and port not in (80, 443) and port < _LOWEST_FREE_PORT:
        return "must use port 80, 443 or one from 1024 on"
    return _why_host_refused(host.rstrip("."))


def _why_host_refused(host: str) -> str | None:
    address = literal(host)
    if address is not None:
        return None if is_public(address) else "points to an address that is not public"
    if "." not in host or host.endswith(_PRIVATE_SUFFIXES):
        return "points to a host that is not public"
    return None


def literal(host: str) -> Address | None:
    """The address that a host is written as, in any form that resolvers take: `127.1`, `0x7f000001`, `2130706433`."""
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except (OSError, UnicodeEncodeError):
        return None


def is_public(address: Address) -> bool:
    """Whether the address is one of the whole world's: not private, loopback, link-local, metadata, multicast or
    reserved, nor such a one wrapped in IPv6.
    """
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
    if any(address in network for network in _NOT_PUBLIC):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved
