"""TLS of a server that is a process of its own: who is let in, and new certificates without a restart."""

from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub

from gleaner.internal.v1 import offer_pb2
from gleaner.internal.v1.offer_pb2_grpc import OfferServiceStub
from gleaner_rpc import ChannelSettings, ChannelTlsSettings, open_channel
from gleaner_rpc.tls import channel_certificates
from support import grpc_errors
from support.certificates import Authority, Files, files
from support.grpc_errors import refused
from support.service_process import ServiceProcess, running

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
PATIENT = str(Path(grpc_errors.__file__).with_name("patient_server.py"))
BBOX_WORKER = ["-c", "from gleaner_bbox_worker.main import run; run()"]
LIVENESS = health_pb2.HealthCheckRequest(service="liveness")


@pytest.fixture
def authority() -> Authority:
    return Authority()


@pytest.fixture
def served(authority: Authority, tmp_path: Path) -> Files:
    return files(authority, tmp_path / "server")


@pytest.fixture
async def mutual(served: Files) -> AsyncIterator[ServiceProcess]:
    async with running([PATIENT], served.environment) as service:
        yield service


async def asked(address: str, tls: ChannelTlsSettings | None) -> "health_pb2.HealthCheckResponse.ServingStatus":
    """What the server answers over a new channel."""
    settings = ChannelSettings(tls=tls or ChannelTlsSettings())
    certificates = channel_certificates(settings.tls)
    async with open_channel(address, settings, certificates.pem if certificates else None) as channel:
        return (await HealthStub(channel).Check(LIVENESS, timeout=10)).status


async def test_who_shows_a_certificate_of_the_authority_is_let_in(mutual: ServiceProcess, served: Files) -> None:
    assert await asked(mutual.address, served.channel) == SERVING


async def test_without_tls_nobody_is_let_in(mutual: ServiceProcess) -> None:
    assert (await refused(asked(mutual.address, None))).code() is grpc.StatusCode.UNAVAILABLE


async def test_without_a_certificate_nobody_is_let_in(mutual: ServiceProcess, served: Files) -> None:
    anonymous = ChannelTlsSettings(ca=str(served.ca))
    assert (await refused(asked(mutual.address, anonymous))).code() is grpc.StatusCode.UNAVAILABLE


async def test_a_certificate_of_another_authority_lets_nobody_in(
    mutual: ServiceProcess, served: Files, tmp_path: Path
) -> None:
    stranger = files(Authority(), tmp_path / "stranger")
    tls = stranger.channel.model_copy(update={"ca": str(served.ca)})
    assert (await refused(asked(mutual.address, tls))).code() is grpc.StatusCode.UNAVAILABLE


async def test_a_server_of_another_authority_is_not_spoken_to(
    mutual: ServiceProcess, served: Files, tmp_path: Path
) -> None:
    tls = served.channel.model_copy(update={"ca": str(Authority().write(tmp_path / "other.crt"))})
    error = await refused(asked(mutual.address, tls))
    assert "CERTIFICATE_VERIFY_FAILED" in (error.details() or "")


async def test_a_server_of_another_name_is_not_spoken_to_unless_it_is_asked_for(
    authority: Authority, tmp_path: Path
) -> None:
    worker = files(authority, tmp_path, "worker.example")
    async with running([PATIENT], worker.environment) as service:
        error = await refused(asked(service.address, worker.channel))
        answer = await asked(service.address, worker.channel.model_copy(update={"name": "worker.example"}))

    assert "Hostname Verification" in (error.details() or "")
    assert answer == SERVING


async def test_a_server_that_asks_for_no_certificate_lets_in_who_trusts_it(served: Files) -> None:
    environment = {**served.environment, "GLEANER_SERVER_TLS_CLIENT_CA": ""}
    async with running([PATIENT], environment) as service:
        assert await asked(service.address, ChannelTlsSettings(ca=str(served.ca))) == SERVING


async def test_a_new_certificate_is_served_without_a_restart_and_open_streams_go_on(
    mutual: ServiceProcess, served: Files, authority: Authority, tmp_path: Path
) -> None:
    before = served.channel.model_copy(update={"ca": str(authority.write(tmp_path / "before.crt"))})
    certificates = channel_certificates(before)
    assert certificates
    async with open_channel(mutual.address, ChannelSettings(), certificates.pem) as channel:
        stream = HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        while (await stream.read()).status != SERVING:
            pass

        successor = Authority()
        successor.sign(served.identity, "127.0.0.1")
        successor.write(served.ca)
        with_new = await asked(mutual.address, served.channel)
        with_old = await refused(asked(mutual.address, before))
        mutual.ask_to_stop()

        assert with_new == SERVING
        assert "CERTIFICATE_VERIFY_FAILED" in (with_old.details() or "")
        assert (await stream.read()).status == NOT_SERVING
    assert await mutual.ended() == 0


async def test_files_that_do_not_fit_leave_the_certificate_in_use(
    mutual: ServiceProcess, served: Files, authority: Authority, tmp_path: Path
) -> None:
    client = files(authority, tmp_path / "client").channel
    old_key = served.identity.key.read_bytes()
    authority.sign(served.identity, "127.0.0.1")
    new_key = served.identity.key.read_bytes()
    served.identity.key.write_bytes(old_key)  # the half of a rotation

    kept = await asked(mutual.address, client)
    warned = await mutual.logged("the certificates in use are kept")
    served.identity.key.write_bytes(new_key)

    assert kept == SERVING
    assert "GLEANER_SERVER_TLS_KEY" in warned["why"]
    assert await asked(mutual.address, client) == SERVING
    await mutual.logged("certificates were read anew")


async def test_probes_that_speak_no_tls_have_a_port_with_health_alone(served: Files) -> None:
    environment = {**served.environment, "GLEANER_HEALTH_LISTEN": "127.0.0.1:0"}
    async with running([PATIENT], environment) as service:
        port = service.lines[-1]["health_port"]
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            answer = await HealthStub(channel).Check(LIVENESS)
            nothing_else = await refused(OfferServiceStub(channel).Offer(offer_pb2.OfferRequest()))

    assert answer.status == SERVING
    assert nothing_else.code() is grpc.StatusCode.UNIMPLEMENTED


BAD_SETTINGS = {
    "a certificate without its key": ({"GLEANER_SERVER_TLS_KEY": ""}, "SERVER_TLS_KEY go together"),
    "clients' authorities without TLS": (
        {"GLEANER_SERVER_TLS_CERT": "", "GLEANER_SERVER_TLS_KEY": ""},
        "GLEANER_SERVER_TLS_CLIENT_CA needs",
    ),
    "a file that is not there": ({"GLEANER_SERVER_TLS_KEY": "/nowhere/tls.key"}, "GLEANER_SERVER_TLS_KEY (/nowhere"),
    "a folder": ({"GLEANER_SERVER_TLS_CERT": "/tmp"}, "GLEANER_SERVER_TLS_CERT (/tmp) cannot be read"),
    "a key that is another's": ({"GLEANER_SERVER_TLS_KEY": "{other}/tls.key"}, "is not the key of the certificate"),
    "authorities that are none": (
        {"GLEANER_SERVER_TLS_CLIENT_CA": "{other}/tls.key"},
        "GLEANER_SERVER_TLS_CLIENT_CA ({other}/tls.key) holds no certificate",
    ),
}


@pytest.mark.parametrize("case", BAD_SETTINGS)
async def test_settings_that_do_not_fit_end_the_start_and_name_the_variable(
    served: Files, authority: Authority, tmp_path: Path, case: str
) -> None:
    other = files(authority, tmp_path / "other").identity.key.parent
    changed, told = BAD_SETTINGS[case]
    environment = served.environment | {name: value.format(other=other) for name, value in changed.items()}
    settings = {"GLEANER_DATABASE_URL": "postgresql://127.0.0.1:1/nothing"}
    async with running(BBOX_WORKER, environment | settings, listening=False) as service:
        assert await service.ended() == 2

    text = "\n".join(line["message"] for line in service.lines)
    assert told.format(other=other) in text
    assert "PRIVATE" not in text
