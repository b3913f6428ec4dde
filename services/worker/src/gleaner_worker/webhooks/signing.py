"""Standard Webhooks signatures: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md"""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime

from standardwebhooks import Webhook

_PREFIX = "whsec_"
_SHORTEST, _LONGEST = 24, 64


def is_secret(secret: str) -> bool:
    """Whether it is one of the standard's. Of others the library signs with what it can read, which is worse than an
    error."""
    try:
        size = len(base64.b64decode(secret.removeprefix(_PREFIX), validate=True))
    except ValueError:
        return False
    return secret.startswith(_PREFIX) and _SHORTEST <= size <= _LONGEST


def check_secret(secret: str) -> None:
    """Raises ValueError, with the way out and without the secret, if it is none of the standard's."""
    if not is_secret(secret):
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
