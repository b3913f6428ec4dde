"""One request to a receiver that means ill, or just is ill: a real HTTP server, over real sockets."""

import asyncio
import ssl
import subprocess
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from gleaner_worker.webhooks.circuits import Line
from gleaner_worker.webhooks.posting import Answered, Poster, Unanswered
from gleaner_worker.webhooks.settings import WebhookSettings
from support.webhook_receiver import (
    Behaviour,
    WebhookReceiver,
    answering,
    answering_twice,
    babbling,
    dripping,
    dripping_after_status,
    dropping,
    flooding,
    hanging,
)

PUBLIC = "93.184.216.34"
NO_YEAR = "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"
_NEW_CERTIFICATE = (
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    " -subj /CN=hooks.example.org -addext subjectAltName=DNS:hooks.example.org"
)


class Names:
    """A name server that answers what it is told to, and counts how often it is asked."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as made:
        yield made


def poster(
    *, timeout_s: float = 5, private: bool = True, names: Names | None = None, trust: ssl.SSLContext | None = None
) -> Poster:
    return Poster(WebhookSettings(timeout_s=timeout_s, allow_private=private), resolve=names, trust=trust)


def a_line() -> Line:
    """Room among a tenant's deliveries; of no matter to most requests."""
    return Line(limit=4)


async def test_the_bytes_arrive_as_they_are_with_their_headers(receiver: WebhookReceiver) -> None:
    body = bytes(range(256)) * 100
    to = poster()
    answer = await to.post(a_line(), receiver.url + "?a=b%20c", {"webhook-id": "1", "content-type": "x/y"}, body)

    [got] = receiver.all
    assert answer == Answered(200)
    assert (got.path, got.body, got.headers["webhook-id"]) == ("/hook?a=b%20c", body, "1")
    assert got.headers["content-length"] == str(len(body))


@pytest.mark.parametrize("status", [204, 302, 404, 410, 500])
async def test_every_status_is_an_answer(receiver: WebhookReceiver, status: int) -> None:
    receiver.always = answering(status, location=receiver.url + "/elsewhere")
    to = poster()
    assert await to.post(a_line(), receiver.url, {}, b"{}") == Answered(status)

    assert len(receiver.all) == 1, "redirects are not followed"


@pytest.mark.parametrize(
    ("text", "shortest", "longest"),
    [("120", 120, 120), ("Fri, 31 Dec 1999 23:59:59 GMT", 0, 0), ("999999999999", 86_400, 86_400)],
)
async def test_retry_after_is_seconds_or_a_date(
    receiver: WebhookReceiver, text: str, shortest: int, longest: int
) -> None:
    receiver.always = answering(429, retry_after=text)
    to = poster()
    answer = await to.post(a_line(), receiver.url, {}, b"{}")

    assert isinstance(answer, Answered)
    assert answer.retry_after is not None
    assert timedelta(seconds=shortest) <= answer.retry_after <= timedelta(seconds=longest)


@pytest.mark.parametrize("text", ["soon", NO_YEAR, "Mon, 01 Jan 2024 00:00:00 +9999"])
async def test_a_retry_after_that_is_neither_is_none(receiver: WebhookReceiver, text: str) -> None:
    receiver.always = answering(503, retry_after=text)
    to = poster()
    assert await to.post(a_line(), receiver.url, {}, b"{}") == Answered(503)


@pytest.mark.parametrize("text", ["120", NO_YEAR])
async def test_who_takes_it_is_not_asked_when_to_try_again(receiver: WebhookReceiver, text: str) -> None:
    receiver.always = answering(202, retry_after=text)
    to = poster()
    assert await to.post(a_line(), receiver.url, {}, b"{}") == Answered(202)


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [(hanging, "TIMED_OUT"), (dripping, "TIMED_OUT"), (babbling, "BAD_ANSWER"), (dropping, "BAD_ANSWER")],
)
async def test_no_answer_has_a_reason_and_an_end(receiver: WebhookReceiver, behaviour: Behaviour, reason: str) -> None:
    receiver.always = behaviour
    began = time.monotonic()
    to = poster(timeout_s=0.5)
    answer = await to.post(a_line(), receiver.url, {}, b"{}")

    assert answer == Unanswered(reason)
    assert time.monotonic() - began < 3


async def test_a_body_that_drips_holds_nobody_up_and_the_status_counts(receiver: WebhookReceiver) -> None:
    receiver.always = dripping_after_status(200)
    began = time.monotonic()
    to = poster(timeout_s=20)
    assert await to.post(a_line(), receiver.url, {}, b"{}") == Answered(200)

    assert time.monotonic() - began < 5


@pytest.mark.parametrize("status", [200, 410])
async def test_a_status_counts_though_the_time_is_over_before_its_body(receiver: WebhookReceiver, status: int) -> None:
    receiver.always = dripping_after_status(status)
    to = poster(timeout_s=0.5)
    assert await to.post(a_line(), receiver.url, {}, b"{}") == Answered(status)


async def test_of_an_endless_answer_little_is_read(receiver: WebhookReceiver) -> None:
    receiver.always = flooding
    to = poster(timeout_s=20)
    assert await to.post(a_line(), receiver.url, {}, b"{}") == Answered(200)

    assert receiver.flooded < 16 * 2**20, "what the sockets' buffers take, and no more"


async def test_a_second_answer_is_not_taken_for_the_next_requests(receiver: WebhookReceiver) -> None:
    receiver.next.extend([answering_twice(500, 200), answering(503)])
    to = poster()
    answers = [await to.post(a_line(), receiver.url, {}, b"{}") for _ in range(2)]

    assert answers == [Answered(500), Answered(503)]


async def test_nobody_listens() -> None:
    with WebhookReceiver() as gone:
        url = gone.url
    to = poster()
    assert await to.post(a_line(), url, {}, b"{}") == Unanswered("NOT_CONNECTED")


async def test_a_name_without_address_is_not_resolved() -> None:
    to = poster()
    assert await to.post(a_line(), "http://nowhere.invalid/", {}, b"{}") == Unanswered("NOT_RESOLVED")


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/",
        "http://localhost:{port}/",
        "http://0x7f000001:{port}/",
        "http://[::ffff:127.0.0.1]:{port}/",
        "http://user@example.org:{port}/",
        "http://example.org:22/",
        "ftp://example.org/",
        "no url",
    ],
)
async def test_the_url_is_judged_again_before_it_is_called(receiver: WebhookReceiver, url: str) -> None:
    to = poster(private=False)
    assert await to.post(a_line(), url.format(port=receiver.port), {}, b"{}") == Unanswered("URL_REFUSED")

    assert receiver.all == []


@pytest.mark.parametrize("addresses", [["127.0.0.1"], [PUBLIC, "127.0.0.1"], ["::ffff:10.0.0.1"], ["169.254.169.254"]])
async def test_a_name_that_leads_inside_is_refused(receiver: WebhookReceiver, addresses: list[str]) -> None:
    names = Names(addresses)
    to = poster(private=False, names=names)
    answer = await to.post(a_line(), f"http://innocent.example.org:{receiver.port}/", {}, b"{}")

    assert answer == Unanswered("ADDRESS_REFUSED")
    assert receiver.all == []


async def test_a_connection_is_looked_up_anew_each_time(receiver: WebhookReceiver) -> None:
    names = Names(["127.0.0.1"])
    to = poster(names=names)
    for _ in range(2):
        await to.post(a_line(), f"http://example.org:{receiver.port}/", {}, b"{}")

    assert len(names.asked) == 2
    assert {got.headers["host"] for got in receiver.all} == {f"example.org:{receiver.port}"}


async def test_the_next_address_is_tried_if_the_first_does_not_listen(receiver: WebhookReceiver) -> None:
    to = poster(names=Names(["127.0.0.99", "127.0.0.1"]))
    assert await to.post(a_line(), f"http://example.org:{receiver.port}/", {}, b"{}") == Answered(200)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for hooks.example.org, with its key."""
    made = tmp_path_factory.mktemp("tls") / "both.pem"
    key = made.with_name("key.pem")
    subprocess.run(
        [*_NEW_CERTIFICATE.split(), "-keyout", str(key), "-out", str(made)],
        check=True,
        capture_output=True,
    )
    made.write_text(made.read_text() + key.read_text())
    return made


@pytest.fixture
def tls_receiver(certificate: Path) -> Iterator[WebhookReceiver]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    with WebhookReceiver(tls=context) as made:
        yield made


async def test_tls_is_with_the_name_though_the_address_is_called(
    tls_receiver: WebhookReceiver, certificate: Path
) -> None:
    trust = ssl.create_default_context(cafile=str(certificate))
    to = poster(names=Names(["127.0.0.1"]), trust=trust)
    right = await to.post(a_line(), f"https://hooks.example.org:{tls_receiver.port}/", {}, b"{}")
    wrong = await to.post(a_line(), f"https://other.example.org:{tls_receiver.port}/", {}, b"{}")

    assert (right, wrong) == (Answered(200), Unanswered("TLS_FAILED"))


async def test_a_certificate_that_nobody_vouches_for_is_refused(tls_receiver: WebhookReceiver) -> None:
    to = poster(names=Names(["127.0.0.1"]))
    answer = await to.post(a_line(), f"https://hooks.example.org:{tls_receiver.port}/", {}, b"{}")

    assert answer == Unanswered("TLS_FAILED")
    assert tls_receiver.all == []


async def test_whom_to_trust_is_read_once_and_not_beside_deliveries(
    tls_receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    to = poster(names=Names(["127.0.0.1"]))
    read: list[object] = []
    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", lambda *files: read.append(files))
    for _ in range(2):
        await to.post(a_line(), f"https://hooks.example.org:{tls_receiver.port}/", {}, b"{}")

    assert read == []


async def test_many_at_once_do_not_wait_for_one_that_hangs(receiver: WebhookReceiver) -> None:
    receiver.next.append(hanging)
    to = poster(timeout_s=2)
    slow = asyncio.create_task(to.post(a_line(), receiver.url, {}, b"{}"))
    await receiver.received()
    answers = await asyncio.gather(*(to.post(a_line(), receiver.url, {}, b"{}") for _ in range(8)))
    assert not slow.done()
    await slow

    assert answers == [Answered(200)] * 8
