"""Standard Webhooks signatures: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md"""

import base64
import binascii
from collections.abc import Sequence
from datetime import UTC, datetime

from standardwebhooks import Webhook

_PREFIX = "whsec_"
_SHORTEST, _LONGEST = 24, 64


def check_secret(secret: str) -> None:
    """Raises ValueError, with the way out and without the secret, if it is none of the standard's."""
    try:
        size = len(base64.b64decode(secret.removeprefix(_PREFIX), validate=True))
    except binascii.Error:
        size = 0
    if not secret.startswith(_PREFIX) or not _SHORTEST <= size <= _LONGEST:
        raise ValueError(
            f"GLEANER_WEBHOOK_SECRETS: a secret is `{_PREFIX}` and {_SHORTEST} to {_LONGEST} bytes in base64; make one"
            f' with: echo "{_PREFIX}$(openssl rand -base64 32)"'
        )


def signed_headers(secrets: Sequence[str], event_id: str, body: bytes, now: datetime | None = None) -> dict[str, str]:
    """The three headers, with one signature for each secret, so that a receiver may change to the new one at any time.

    The id stays the same on every try; the time is this try's, that a receiver can refuse old ones.
    """
    now = (now or datetime.now(UTC)).replace(microsecond=0)
    signatures = [Webhook(secret).sign(event_id, now, body.decode()) for secret in secrets]
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
