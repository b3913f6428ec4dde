import ipaddress

import pytest

from gleaner_core.webhook_urls import is_public, literal, why_refused


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/hook?x=1",
        "http://hooks.example.com:8080/",
        "https://93.184.216.34/",
        "https://[2606:2800:220:1::1]/",
        "https://xn--mnchen-3ya.de/",
    ],
)
def test_what_is_public_may_be_called(url: str) -> None:
    assert why_refused(url) is None


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com",
        "javascript:alert(1)",
        "https://",
        "//example.com",
        "https://user:secret@example.com/",
        "https://exam ple.com/",
        "https://example.com/\r\nHost: x",
        "https://example.com:99999/",
        "https://[::1",
        "http://localhost/",
        "http://LOCALHOST./",
        "http://api.localhost/",
        "http://gleaner-postgres:5432/",
        "http://metadata.google.internal/",
        "http://printer.local/",
        "http://api.gleaner.svc/",
        "http://127.0.0.1/",
        "http://127.1/",
        "http://0/",
        "http://0x7f000001/",
        "http://2130706433/",
        "http://0177.0.0.1/",
        "http://10.0.0.1/",
        "http://172.16.0.1/",
        "http://192.168.1.1/",
        "http://100.64.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://192.0.0.8/",
        "http://168.63.129.16/",
        "http://192.88.99.1/",
        "http://224.0.0.1/",
        "http://255.255.255.255/",
        "http://[::1]/",
        "http://[::]/",
        "http://[fe80::1%25eth0]/",
        "http://[fd00:ec2::254]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[2002:7f00:1::]/",
        "http://[::127.0.0.1]/",
        "http://[fec0::1]/",
        "http://[3fff::1]/",
        "http://example.com:22/",
        "http://example.com:0/",
    ],
)
def test_what_only_we_can_reach_may_not(url: str) -> None:
    assert why_refused(url)


def test_closed_networks_may_allow_their_own() -> None:
    assert why_refused("http://127.0.0.1:8000/hook", allow_private=True) is None
    assert why_refused("ftp://127.0.0.1", allow_private=True)
    assert why_refused("http://user@127.0.0.1", allow_private=True)


def test_an_address_may_be_written_in_many_ways_and_a_name_in_none() -> None:
    assert literal("127.1") == literal("2130706433") == ipaddress.ip_address("127.0.0.1")
    assert literal("example.com") is None


def test_a_public_address_wrapped_in_ipv6_stays_public() -> None:
    assert is_public(ipaddress.ip_address("64:ff9b::5db8:d822"))
    assert is_public(ipaddress.ip_address("::ffff:93.184.216.34"))
