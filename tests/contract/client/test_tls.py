"""Client and command against a server that speaks TLS, a process of its own: let in, or told why not."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from gleaner_client import CertificateError, GleanerClient, Tls, Unavailable
from gleaner_stack.supervisor import SCRIPTS
from support.api import API
from support.certificates import Authority, Files, files
from support.postgres import Databases
from support.service_process import running

BUF = SCRIPTS / "buf"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def served(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Files:
    return files(authority, tmp_path_factory.mktemp("server"), "127.0.0.1", "gleaner.example")


@pytest.fixture
def mine(authority: Authority, tmp_path: Path) -> Files:
    return files(authority, tmp_path / "client", "client.example")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def address(postgres: Databases, served: Files) -> AsyncIterator[str]:
    """An api that asks for certificates, the module's own."""
    url = postgres.clone()
    settings = {"GLEANER_DATABASE_URL": url, "GLEANER_WORKER_ADDRESSES": ""}
    async with running(API, served.environment | settings) as process:
        yield process.address
    postgres.drop(url)


async def ended(server: str, **environment: str) -> tuple[int, str]:
    """Status of `gleaner version`, and what it wrote."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "gleaner_client",
        "version",
        env={"GLEANER_SERVER": server, "PATH": "", "NO_COLOR": "1", "COLUMNS": "200", **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, out.decode()


async def test_a_client_with_a_certificate_is_let_in(address: str, mine: Files) -> None:
    async with GleanerClient(address, tls=Tls(ca=mine.ca, cert=mine.identity.cert, key=mine.identity.key)) as client:
        assert (await client.version()).version


async def test_a_name_other_than_the_address_s_has_to_be_on_the_certificate(address: str, mine: Files) -> None:
    known = Tls(ca=mine.ca, cert=mine.identity.cert, key=mine.identity.key, name="gleaner.example")
    async with GleanerClient(address, tls=known) as client:
        assert (await client.version()).version
    unknown = Tls(ca=mine.ca, cert=mine.identity.cert, key=mine.identity.key, name="elsewhere.example")
    async with GleanerClient(address, tls=unknown) as client:
        with pytest.raises(Unavailable, match="Hostname Verification"):
            await client.version()


@pytest.mark.parametrize("scheme", ["", "https://"])
async def test_the_command_takes_its_certificates_from_the_environment(address: str, mine: Files, scheme: str) -> None:
    status, told = await ended(
        scheme + address,
        GLEANER_TLS_CA=str(mine.ca),
        GLEANER_TLS_CERT=str(mine.identity.cert),
        GLEANER_TLS_KEY=str(mine.identity.key),
    )
    assert status == 0, told


async def test_the_command_without_tls_is_told_that_the_server_speaks_it(address: str) -> None:
    status, told = await ended(address)
    assert status == 5
    assert f"It speaks TLS: name it https://{address}" in told


async def test_the_command_without_a_certificate_is_told_that_one_is_asked_for(address: str, mine: Files) -> None:
    status, told = await ended(address, GLEANER_TLS_CA=str(mine.ca))
    assert status == 5
    assert "It asks for a certificate: name one with GLEANER_TLS_CERT" in told


async def test_the_command_with_tls_is_told_that_the_server_speaks_none(database_url: str) -> None:
    async with running(API, GLEANER_DATABASE_URL=database_url, GLEANER_WORKER_ADDRESSES="") as process:
        status, told = await ended(f"https://{process.address}")
    assert status == 5
    assert f"It speaks no TLS: name it http://{process.address}" in told


async def test_the_command_says_which_authority_it_does_not_know(address: str, tmp_path: Path) -> None:
    status, told = await ended(address, GLEANER_TLS_CA=str(Authority().write(tmp_path / "other.crt")))
    assert status == 5
    assert "CERTIFICATE_VERIFY_FAILED" in told


async def test_the_command_names_a_file_that_cannot_be_used() -> None:
    missing = await ended("127.0.0.1:1", GLEANER_TLS_CA="/nowhere/ca.crt")
    half = await ended("127.0.0.1:1", GLEANER_TLS_CERT="/nowhere/tls.crt")
    assert missing[0] == half[0] == 2
    assert "/nowhere/ca.crt cannot be read: No such file or directory" in missing[1]
    assert "a certificate and its key go together" in half[1]


async def test_a_client_in_go_as_keda_is_gets_figures_with_authority_certificate_and_key(
    address: str, mine: Files
) -> None:
    process = await asyncio.create_subprocess_exec(
        BUF,
        "curl",
        "--protocol=grpc",
        f"--cacert={mine.ca}",
        f"--cert={mine.identity.cert}",
        f"--key={mine.identity.key}",
        '--data={"name": "gleaner-worker", "scalerMetadata": {"leg": "extraction", "jobsPerReplica": "8"}}',
        f"https://{address}/externalscaler.ExternalScaler/GetMetricSpec",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, err.decode()
    [spec] = json.loads(out)["metricSpecs"]
    assert (spec["metricName"], spec["targetSizeFloat"]) == ("gleaner-extraction-jobs", 8)


async def test_files_that_do_not_fit_are_refused_before_a_call(mine: Files, served: Files) -> None:
    mixed = Tls(ca=mine.ca, cert=mine.identity.cert, key=served.identity.key)
    none = Tls(ca=mine.identity.key)
    for tls, told in ((mixed, os.fspath(served.identity.key)), (none, "holds no certificate")):
        with pytest.raises(CertificateError, match=told):
            await GleanerClient(tls=tls).__aenter__()
