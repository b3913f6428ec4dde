"""How our servers and channels are built: interceptors, error table, health, drain."""

from gleaner_rpc.calls import Context
from gleaner_rpc.channels import Peers, addresses, open_channel
from gleaner_rpc.concerns import tenant, told
from gleaner_rpc.limits import Places
from gleaner_rpc.offers import Offers
from gleaner_rpc.server import CannotListen, Server, build_server, serve
from gleaner_rpc.settings import ChannelSettings, ChannelTlsSettings, GrpcSettings, Seconds, ServerTlsSettings
from gleaner_rpc.tls import UnfitCertificates

__all__ = [
    "CannotListen",
    "ChannelSettings",
    "ChannelTlsSettings",
    "Context",
    "GrpcSettings",
    "Offers",
    "Peers",
    "Places",
    "Seconds",
    "Server",
    "ServerTlsSettings",
    "UnfitCertificates",
    "addresses",
    "build_server",
    "open_channel",
    "serve",
    "tenant",
    "told",
]
