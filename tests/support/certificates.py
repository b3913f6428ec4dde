"""Authorities and certificates made for a test, as files that can be replaced."""

from dataclasses import dataclass
from pathlib import Path

import trustme

from gleaner_rpc import ChannelTlsSettings, ServerTlsSettings


class Authority:
    """Signs certificates; nobody knows it but by its file."""

    def __init__(self) -> None:
        self._ca = trustme.CA()

    def write(self, path: Path) -> Path:
        """Its own certificate."""
        _replace(path, self._ca.cert_pem.bytes())
        return path

    def sign(self, identity: "Identity", *names: str) -> None:
        """New files of the identity: first the certificate, then its key, as a rotation in place would."""
        leaf = self._ca.issue_cert(*names)
        _replace(identity.cert, b"".join(part.bytes() for part in leaf.cert_chain_pems))
        _replace(identity.key, leaf.private_key_pem.bytes())


@dataclass(frozen=True)
class Identity:
    """Where a certificate and its key stand."""

    cert: Path
    key: Path


@dataclass(frozen=True)
class Files:
    """Everything that one side needs: its authorities, its certificate and key."""

    ca: Path
    identity: Identity

    @property
    def server(self) -> ServerTlsSettings:
        return ServerTlsSettings(cert=str(self.identity.cert), key=str(self.identity.key), client_ca=str(self.ca))

    @property
    def channel(self) -> ChannelTlsSettings:
        return ChannelTlsSettings(ca=str(self.ca), cert=str(self.identity.cert), key=str(self.identity.key))

    @property
    def environment(self) -> dict[str, str]:
        """Mutual TLS of a service, as server and as client of others."""
        return {
            "GLEANER_SERVER_TLS_CERT": str(self.identity.cert),
            "GLEANER_SERVER_TLS_KEY": str(self.identity.key),
            "GLEANER_SERVER_TLS_CLIENT_CA": str(self.ca),
            "GLEANER_CHANNEL_TLS_CA": str(self.ca),
            "GLEANER_CHANNEL_TLS_CERT": str(self.identity.cert),
            "GLEANER_CHANNEL_TLS_KEY": str(self.identity.key),
        }


def files(authority: Authority, folder: Path, *names: str) -> Files:
    """The files of somebody with these names, 127.0.0.1 without any."""
    folder.mkdir(parents=True, exist_ok=True)
    identity = Identity(folder / "tls.crt", folder / "tls.key")
    authority.sign(identity, *(names or ("127.0.0.1",)))
    return Files(authority.write(folder / "ca.crt"), identity)


def _replace(path: Path, content: bytes) -> None:
    """At once, as a renamed link of Kubernetes does: nobody reads half a file."""
    new = path.with_suffix(".new")
    new.write_bytes(content)
    new.replace(path)
