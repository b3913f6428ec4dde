"""Certificates of servers and of channels: PEM files that are read anew when they change.

A server is asked for its certificate at each new connection, so new ones are served without a restart while connections
that are open go on. For channels gRPC has no such question: `Peers` opens new ones.
"""

import logging
import ssl
from dataclasses import dataclass
from pathlib import Path

import grpc
from pydantic_settings import BaseSettings

from gleaner_rpc.settings import ChannelTlsSettings, ServerTlsSettings

_log = logging.getLogger(__name__)
_READS = 5  # of files that somebody changes meanwhile


class UnfitCertificates(Exception):
    """Files of certificates cannot be used. The text names variable and path, never what is in them."""


@dataclass(frozen=True, slots=True)
class PemFile:
    """A file, and the variable that named it."""

    variable: str
    path: str


@dataclass(frozen=True, slots=True)
class Pem:
    """What the files hold: a key and its certificate chain, and the authorities that others' certificates are of."""

    identity: tuple[bytes, bytes] | None
    authorities: bytes | None


class Certificates:
    """The files of one server, or of the channels to one service. Raises UnfitCertificates if they cannot be used."""

    def __init__(self, *, cert: PemFile, key: PemFile, authorities: PemFile) -> None:
        self._cert, self._key, self._authorities = cert, key, authorities
        self._seen, self.pem = self._read()
        self._refused: object = None

    def changed(self) -> bool:
        """Whether the files hold something new that fits together, which `pem` is from now on."""
        stamps = self._stamps()
        if stamps == self._seen:
            return False
        try:
            self._seen, self.pem = self._read()
        except UnfitCertificates as error:
            if stamps != self._refused:  # once for each state of the files
                _log.warning("the certificates in use are kept", extra={"why": str(error)})
                self._refused = stamps
            return False
        _log.info("certificates were read anew", extra={"variables": [file.variable for file in self._given()]})
        return True

    def _given(self) -> list[PemFile]:
        return [file for file in (self._cert, self._key, self._authorities) if file.path]

    def _stamps(self) -> list[tuple[int, int, int] | None]:
        return [_stamp(file) for file in self._given()]

    def _read(self) -> tuple[object, Pem]:
        for _ in range(_READS):
            before = self._stamps()
            pem = Pem(
                (_content(self._key), _content(self._cert)) if self._cert.path else None,
                _content(self._authorities) if self._authorities.path else None,
            )
            self._check()
            if before == self._stamps():  # what was checked is what was read
                return before, pem
        raise UnfitCertificates(f"{self._given()[0].variable}: the files change while they are read")

    def _check(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if self._authorities.path:
            try:
                context.load_verify_locations(self._authorities.path)
            except (ssl.SSLError, OSError):
                raise _unfit(self._authorities, "holds no certificate in PEM form") from None
        if self._cert.path:
            try:
                # A key with a passphrase would be asked for on the terminal.
                context.load_cert_chain(self._cert.path, self._key.path, password="")
            except (ssl.SSLError, OSError, ValueError) as error:
                raise self._mismatch(error) from None

    def _mismatch(self, error: Exception) -> UnfitCertificates:
        if getattr(error, "reason", "") == "KEY_VALUES_MISMATCH":
            return _unfit(self._key, f"is not the key of the certificate that {self._cert.variable} names")
        return _unfit(
            self._cert, f"and {self._key.variable} have to name a certificate and its key, in PEM form, no passphrase"
        )


def check_files(settings: BaseSettings) -> None:
    """Returns if the files that a service's settings name can be used. Raises UnfitCertificates.

    For the start, before anything is waited for; whoever uses the files reads them by himself.
    """
    for _, group in settings:
        tls = getattr(group, "tls", None)
        if isinstance(tls, ServerTlsSettings):
            server_certificates(tls)
        elif isinstance(tls, ChannelTlsSettings):
            channel_certificates(tls)


def server_certificates(settings: ServerTlsSettings) -> Certificates | None:
    """What a server shows and asks for; None without TLS. Raises UnfitCertificates."""
    if not settings.cert:
        return None
    return Certificates(
        cert=PemFile("GLEANER_SERVER_TLS_CERT", settings.cert),
        key=PemFile("GLEANER_SERVER_TLS_KEY", settings.key),
        authorities=PemFile("GLEANER_SERVER_TLS_CLIENT_CA", settings.client_ca),
    )


def server_credentials(settings: ServerTlsSettings) -> grpc.ServerCredentials | None:
    """The same for gRPC, which asks for changes at each new connection."""
    certificates = server_certificates(settings)
    if certificates is None:
        return None

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        return _configuration(certificates.pem) if certificates.changed() else None

    return grpc.dynamic_ssl_server_credentials(
        _configuration(certificates.pem),
        fetch,  # type: ignore[arg-type]  # None, which gRPC documents, is for no change
        require_client_authentication=bool(settings.client_ca),
    )


def channel_certificates(settings: ChannelTlsSettings) -> Certificates | None:
    """What channels show and trust; None without TLS. Raises UnfitCertificates."""
    if not settings.ca:
        return None
    return Certificates(
        cert=PemFile("GLEANER_CHANNEL_TLS_CERT", settings.cert),
        key=PemFile("GLEANER_CHANNEL_TLS_KEY", settings.key),
        authorities=PemFile("GLEANER_CHANNEL_TLS_CA", settings.ca),
    )


def _configuration(pem: Pem) -> grpc.ServerCertificateConfiguration:
    assert pem.identity, "a server has one"
    return grpc.ssl_server_certificate_configuration([pem.identity], root_certificates=pem.authorities)


def _stamp(file: PemFile) -> tuple[int, int, int] | None:
    try:
        found = Path(file.path).stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _content(file: PemFile) -> bytes:
    try:
        return Path(file.path).read_bytes()
    except OSError as error:
        raise _unfit(file, f"cannot be read: {error.strerror}") from None


def _unfit(file: PemFile, what: str) -> UnfitCertificates:
    return UnfitCertificates(f"{file.variable} ({file.path}) {what}")
