"""`smolvm serve start`: a listed gap; the fake serves no HTTP API."""

from __future__ import annotations

from ipaddress import AddressValueError, IPv4Address, IPv6Address

from fake_smolvm.errors import CommandError, LimitError
from fake_smolvm.rust.std import is_at_most

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fake_smolvm.clap.outcome import Matches
    from fake_smolvm.host import Host

_MAX_PORT = 65535


def run(matches: Matches, _host: Host) -> int:
    """Check the address, then say that nothing listens there."""
    listen: str = matches["listen"]
    if ":" in listen and not listen.startswith(("unix://", "/")) and not _is_socket_address(listen):
        raise CommandError(
            f"config operation failed: parse listen address: invalid address '{listen}':"
            " expected a valid ADDR:PORT or a unix:// path"
        )
    raise LimitError("no HTTP API is served")


def _is_socket_address(text: str) -> bool:
    host, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdigit() and is_at_most(port, _MAX_PORT)):
        return False
    try:
        if host.startswith("[") and host.endswith("]"):
            address, has_scope, scope = host[1:-1].partition("%")
            IPv6Address(address)
            return not has_scope or (scope.isascii() and scope.isdigit())
        IPv4Address(host)
    except AddressValueError:
        return False
    return True
