"""The network that a machine really gets from 0.8.0, as a model: nothing ever leaves the host.

What may be reached is 0.8.0's doing; what answers there is the test's, a TOML file named by
`$FAKE_SMOLVM_NETWORK`::

    [hosts]
    "api.example.com" = ["192.0.2.7"]     # what the name resolves to

    [[answer]]
    url = "http://api.example.com/health" # this URL, or all that begin with it if it ends in `*`
    status = 200
    body = "ok"

A name resolves only if it is listed, or packages come from there; an address answers only if a URL
of it, or of a name of it, does. Before all that, `journal = "/tmp/y"` names a file in which each
answer that is given is noted by its number, one a line.
"""

from __future__ import annotations

from fake_smolvm import variables
from fake_smolvm.errors import SetupError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any, Literal, TypeAlias

    from fake_smolvm.machines.paths import Paths
    from fake_smolvm.machines.record import Record

    Verdict: TypeAlias = Literal["no network", "denied", "unresolved", "allowed"]

DNS_SERVER = "1.1.1.1"
_NAME_LIMIT, _LABEL_LIMIT = 253, 63
_NEVER_RESOLVED = (".invalid", ".localhost")
_LOOPBACK = ("127.0.0.0/8", "::1/128")


class ResolutionError(Exception):
    """A hostname does not resolve; the text is 0.8.0's."""


class Reach:
    """Whether a machine reaches a destination.

    `verdict` is "allowed", or why not: "no network", "denied" by the machine's list, "unresolved".
    `addresses` are those the destination has. `unenforced` says that the list would deny it, and
    that 0.8.0 does not keep to its own list (hazard H2). `unknown` says that a name might resolve
    in the world: the test does not say.
    """

    __slots__ = ("addresses", "unenforced", "unknown", "verdict")

    def __init__(
        self,
        verdict: Verdict,
        addresses: list[str] | None = None,
        *,
        unenforced: bool = False,
        unknown: bool = False,
    ) -> None:
        self.verdict = verdict
        self.addresses = addresses or []
        self.unenforced = unenforced
        self.unknown = unknown

    def __bool__(self) -> bool:
        return self.verdict == "allowed"


class Network:
    """What the world outside looks like, as the test has it."""

    __slots__ = ("answers", "hosts", "journal")

    def __init__(self, data: Mapping[str, Any] | None = None) -> None:
        data = data or {}
        self.hosts: dict[str, list[str]] = {
            name.lower(): [addresses] if isinstance(addresses, str) else list(addresses)
            for name, addresses in data.get("hosts", {}).items()
        }
        self.answers: list[Mapping[str, Any]] = list(data.get("answer", ()))
        self.journal: str | None = data.get("journal")

    def resolve(self, name: str) -> list[str]:
        """Give the addresses of a name; none if it is not known."""
        if is_address(name):
            return [name]
        if name.lower() == "localhost":
            return ["127.0.0.1"]
        name = name.lower().rstrip(".")
        if name not in self.hosts:
            from fake_smolvm.guest.packages import mirrors

            return [mirrors()[name]] if name in mirrors() else []
        return self.hosts[name]

    def answer(self, url: str) -> Mapping[str, Any] | None:
        """Give what a URL answers; None if nobody listens there."""
        for number, answer in enumerate(self.answers):
            wanted: str = answer["url"]
            is_it = url == wanted or url.rstrip("/") == wanted.rstrip("/")
            if is_it or (wanted.endswith("*") and url.startswith(wanted[:-1])):
                self._note(number)
                return answer
        return None

    def _note(self, number: int) -> None:
        if self.journal is not None:
            with open(self.journal, "a", encoding="utf-8") as journal:
                journal.write(f"{number}\n")


def network_of(env: Mapping[str, str]) -> Network:
    """Read the test's data.

    Raises SetupError for a file that cannot be read, or says what no network is like.
    """
    path = env.get(variables.NETWORK)
    if not path:
        return Network()
    from fake_smolvm.machines import given

    try:
        data = given.read_toml(path)
    except ValueError as error:
        raise SetupError(f"{variables.NETWORK}: {error}") from None
    try:
        _check(data)
    except ValueError as error:
        raise SetupError(f"{variables.NETWORK}: {path}: {error}") from None
    return Network(data)


def _check(data: Mapping[str, Any]) -> None:
    """Raise ValueError for what is no network."""
    from fake_smolvm.machines import given

    fields = {"hosts": given.ANY_TABLE, "answer": given.TABLES, "journal": given.TEXT}
    given.check(data, fields, "a network")
    for name, addresses in data.get("hosts", {}).items():
        listed = [addresses] if isinstance(addresses, str) else addresses
        if not isinstance(listed, list) or not all(
            isinstance(address, str) and is_address(address) for address in listed
        ):
            raise ValueError(f"hosts: {name} is {addresses!r}, not an address or a list of them")
    fields = {"url": given.TEXT, "status": given.STATUS, "body": given.TEXT}
    for number, answer in enumerate(data.get("answer", ())):
        given.check(answer, fields, f"answer {number}", required=["url"])


def resolve(paths: Paths, hostname: str) -> list[str]:
    """Give what `--allow-host` makes of a hostname: its IPv4 addresses, each as `ADDRESS/32`.

    Raises ResolutionError.
    """
    if ":" in hostname:
        raise ResolutionError(
            f"invalid hostname '{hostname}': port suffixes are not supported. "
            "Use the hostname only (all ports are allowed to resolved IPs)."
        )
    addresses = [a for a in network_of(paths.env).resolve(hostname) if ":" not in a]
    if not addresses:
        reason = (
            "Temporary failure in name resolution"
            if _may_be_asked_for(hostname)
            else "Name or service not known"
        )
        raise ResolutionError(
            f"failed to resolve '{hostname}': failed to lookup address information: {reason}"
        )
    return [f"{address}/32" for address in addresses]


def _may_be_asked_for(hostname: str) -> bool:
    """Tell whether glibc asks a name server for a name at all (tried with `getaddrinfo`)."""
    labels = hostname.removesuffix(".").split(".")
    return hostname == "." or (
        len(hostname.removesuffix(".")) <= _NAME_LIMIT
        and all(0 < len(label) <= _LABEL_LIMIT for label in labels)
        and not hostname.startswith("-")
        and all(letter.isascii() and (letter.isalnum() or letter in "-_.") for letter in hostname)
    )


def allowed_cidrs(record: Record) -> list[str] | None:
    """Give the list that 0.8.0 hands to its network backend; None: no list, everything is allowed.

    The DNS server is added unless the list holds it or is all loopback. A machine of an artifact
    has no list, whatever was asked for (hazard H1): its record has none either.
    """
    if record.allowed_cidrs is None:
        return None
    cidrs = list(record.allowed_cidrs)
    if cidrs and all(_in_any(cidr.partition("/")[0], _LOOPBACK) for cidr in cidrs):
        return cidrs
    if not _in_any(DNS_SERVER, cidrs):
        cidrs.append(f"{DNS_SERVER}/32")
    return cidrs


def reach(record: Record, destination: str, network: Network | None = None) -> Reach:
    """Tell whether a machine reaches a host name or an address.

    With `--allow-host`, DNS answers those names only. A list of CIDRs is there, but the backend of
    0.8.0 does not keep to it (hazard H2): what it would deny is allowed, with `unenforced` set.
    """
    network = network or Network()
    if not (record.network or record.allowed_cidrs or record.ports):
        return Reach("no network")
    hosts = record.dns_filter_hosts
    if hosts and not is_address(destination) and not _is_listed(destination, hosts):
        return Reach("unresolved")
    addresses = network.resolve(destination)
    if not addresses:
        return Reach("unresolved", unknown=not destination.rstrip(".").endswith(_NEVER_RESOLVED))
    cidrs = allowed_cidrs(record)
    denied = cidrs is not None and not any(_in_any(address, cidrs) for address in addresses)
    return Reach("allowed", addresses, unenforced=denied)


def is_loopback(found: Reach) -> bool:
    """Return whether what was reached is the machine itself."""
    return bool(found.addresses) and all(_in_any(a, _LOOPBACK) for a in found.addresses)


def is_address(text: str) -> bool:
    """Tell whether a text is an IPv4 or IPv6 address."""
    return _number(text) is not None


def _is_listed(name: str, hosts: Iterable[str]) -> bool:
    """A listed host stands for its subdomains too, as in 0.8.0's DNS filter."""
    name = name.lower().rstrip(".")
    return any(name == host.lower() or name.endswith(f".{host.lower()}") for host in hosts)


def _in_any(address: str, cidrs: Iterable[str]) -> bool:
    seen = _number(address)
    if seen is None:
        return False
    bits, number = seen
    for cidr in cidrs:
        base, _, prefix = cidr.partition("/")
        network = _number(base)
        if network is None or network[0] != bits:
            continue
        shift = bits - (int(prefix) if prefix else bits)
        if network[1] >> shift == number >> shift:
            return True
    return False


def _number(text: str) -> tuple[int, int] | None:
    """An address as its width in bits and its number."""
    if ":" not in text:
        parts = text.split(".")
        if len(parts) != 4 or not all(  # noqa: PLR2004
            part.isascii() and part.isdigit() and len(part) <= 3 and int(part) < 256  # noqa: PLR2004
            for part in parts
        ):
            return None
        return 32, int.from_bytes(bytes(map(int, parts)))
    from socket import AF_INET6, inet_pton

    try:
        return 128, int.from_bytes(inet_pton(AF_INET6, text))
    except (OSError, ValueError):
        return None
