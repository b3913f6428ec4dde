"""Whom a connection trusts, and what it shows of itself: files of certificates in PEM form."""

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import grpc

PREFIX = "GLEANER_TLS_"


class CertificateError(Exception):
    """Files of certificates cannot be used. The text names them, never what is in them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Certificates of a connection by TLS, read when it is opened.

    `ca` are the authorities that the server's certificate is of, the system's without it; `cert` and `key` what is
    shown to a server that asks; `name` what the server's certificate has to carry instead of the host in the address.
    """

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    name: str = ""

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Tls | None":
        """What GLEANER_TLS_CA, _CERT, _KEY and _NAME say; None if they say nothing."""
        ca, cert, key, name = (environment.get(PREFIX + part, "") for part in ("CA", "CERT", "KEY", "NAME"))
        if not (ca or cert or key or name):
            return None
        return cls(ca=_path(ca), cert=_path(cert), key=_path(key), name=name)

    def credentials(self) -> grpc.ChannelCredentials:
        """The files as gRPC takes them. Raises CertificateError."""
        if (self.cert is None) != (self.key is None):
            raise CertificateError("a certificate and its key go together: give both, or neither")
        ca = _content(self.ca) if self.ca else None
        context = ssl.create_default_context()
        if self.ca:
            _checked(lambda: context.load_verify_locations(self.ca), f"{self.ca} holds no certificate in PEM form")
        if not (self.cert and self.key):
            return grpc.ssl_channel_credentials(ca)
        cert, key = _content(self.cert), _content(self.key)
        loaded = self.cert, self.key
        _checked(
            # A key with a passphrase would be asked for on the terminal.
            lambda: context.load_cert_chain(*loaded, password=""),
            f"{self.cert} and {self.key} have to be a certificate and its key, in PEM form, without a passphrase",
        )
        return grpc.ssl_channel_credentials(ca, key, cert)


def _path(text: str) -> Path | None:
    return Path(text) if text else None


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CertificateError(f"{path} cannot be read: {error.strerror}") from None


def _checked(load: Callable[[], None], otherwise: str) -> None:
    try:
        load()
    except (ssl.SSLError, OSError, ValueError):
        raise CertificateError(otherwise) from None
