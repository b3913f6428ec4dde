"""Webhooks: what the moves of jobs owe to callback URLs and endpoints, sent beside the runner."""

from gleaner_worker.webhooks.posting import Poster
from gleaner_worker.webhooks.sender import Sender
from gleaner_worker.webhooks.settings import WebhookSettings

__all__ = ["Poster", "Sender", "WebhookSettings"]
