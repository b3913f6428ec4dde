"""A sender's surroundings: a database of the test's own, a receiver, a resolver."""

import socket
from collections.abc import Iterator

import pytest

from gleaner_repo import Database
from support.webhook_receiver import WebhookReceiver
from support.webhook_suite import Names, Suite


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as made:
        yield made


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    made = Names()
    monkeypatch.setattr(socket, "getaddrinfo", made)
    yield made
    made.answer()


@pytest.fixture
def suite(database: Database, receiver: WebhookReceiver) -> Suite:
    return Suite(database, receiver)
