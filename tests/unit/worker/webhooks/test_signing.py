import base64
import hashlib
import hmac
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from gleaner_worker.webhooks.settings import WebhookSettings
from gleaner_worker.webhooks.signing import check_secret, signed_headers

OLD = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NEW = "whsec_" + base64.b64encode(bytes(range(32))).decode()
BODY = '{"müll":"ä"}'.encode()


def test_the_library_of_the_standard_verifies_what_we_sign() -> None:
    headers = signed_headers([OLD], "msg_1", BODY)

    assert Webhook(OLD).verify(BODY, headers) == {"müll": "ä"}


def test_the_signature_is_the_standards_own_example() -> None:
    at = datetime.fromtimestamp(1614265330, UTC)

    headers = signed_headers([OLD], "msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}', at)

    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_while_secrets_are_changed_receivers_may_have_either() -> None:
    headers = signed_headers([NEW, OLD], "msg_1", BODY)

    Webhook(OLD).verify(BODY, headers)
    Webhook(NEW).verify(BODY, headers)
    assert len(headers["webhook-signature"].split(" ")) == 2


def test_the_signature_is_over_id_time_and_exactly_the_bytes() -> None:
    headers = signed_headers([NEW], "msg_1", BODY)
    signed = f"msg_1.{headers['webhook-timestamp']}.".encode() + BODY
    mac = hmac.new(bytes(range(32)), signed, hashlib.sha256).digest()

    assert headers["webhook-signature"] == f"v1,{base64.b64encode(mac).decode()}"
    with pytest.raises(WebhookVerificationError):
        Webhook(NEW).verify(BODY + b" ", headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(NEW).verify(BODY, headers | {"webhook-id": "msg_2"})


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        "secret",
        "whsec_c2hvcnQ=",
        NEW.removeprefix("whsec_"),
        "whsec_" + "A" * 200,
        "whsec_*",
        "whsec_\u00fc",
    ],
)
def test_a_secret_that_is_none_of_the_standards_is_refused_without_being_told(secret: str) -> None:
    with pytest.raises(ValueError, match="openssl rand") as refused:
        check_secret(secret)
    assert not secret or secret in ("whsec_", "secret") or secret not in str(refused.value)


def test_settings_take_several_secrets_newest_first() -> None:
    assert WebhookSettings(secrets=f"{NEW}, {OLD},").signing_secrets == (NEW, OLD)
    assert WebhookSettings(secrets="").signing_secrets == ()
    with pytest.raises(ValueError, match="GLEANER_WEBHOOK_SECRETS"):
        WebhookSettings(secrets=f"{NEW},wrong")
