"""References to artifacts in a registry, and the addresses that asking for them would go to.

No registry is ever asked: nothing leaves the host.
"""

from __future__ import annotations

from fake_smolvm.rust.std import is_at_most

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_REGISTRY = "registry.smolmachines.com"
DEFAULT_TAG = "latest"

_SHA256 = "sha256:"
_SHA256_DIGITS = 64
_HEX_DIGITS = frozenset("0123456789abcdefABCDEF")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_MAX_PORT = 65535
# What the URL standard writes as %XX, beside control characters and non-ASCII.
_ENCODED_IN_PATH = ' "#<>?`{}'
_ENCODED_IN_QUERY = ' "#<>'
_ENCODED_IN_FRAGMENT = ' "<>`'
_FORBIDDEN_IN_HOST = frozenset(" #%/:<>?@[\\]^|")


class InvalidReferenceError(ValueError):
    """A text is no reference; its argument says why, as 0.8.0 does."""


class Reference:
    """A reference in its parts: ``[registry/][namespace/…]name[:tag|@digest]``."""

    __slots__ = ("digest", "registry", "repository", "tag")

    def __init__(self, text: str) -> None:
        """Read a reference.

        Raises:
            InvalidReferenceError: For what is none.
        """
        path = text.strip()
        if not path:
            raise InvalidReferenceError("empty reference")
        self.tag: str | None = None
        self.digest: str | None = None
        path, has_digest, digest = path.partition("@")
        if has_digest:
            _check_digest(digest)
            self.digest = digest
        else:
            slash = path.rfind("/") + 1
            name, has_tag, tag = path[slash:].partition(":")
            if has_tag:
                if not tag:
                    raise InvalidReferenceError("empty tag")
                path, self.tag = path[:slash] + name, tag
        parts = path.split("/")
        self.registry = DEFAULT_REGISTRY
        if len(parts) > 1:
            if "." in parts[0] or ":" in parts[0]:
                self.registry = parts.pop(0)
            elif len(parts) > 2:  # noqa: PLR2004 - namespace and name
                raise InvalidReferenceError(
                    f"first component '{parts[0]}' doesn't look like a registry hostname"
                )
        if not parts[-1]:
            raise InvalidReferenceError("empty name")
        if not all(parts):
            raise InvalidReferenceError("empty repository component (check for double slashes)")
        self.repository = "/".join(parts)

    @property
    def tag_or_digest(self) -> str:
        """What comes after the repository in a request for the manifest."""
        return self.digest or self.tag or DEFAULT_TAG


def _check_digest(digest: str) -> None:
    if not digest.startswith(_SHA256):
        raise InvalidReferenceError(
            f"unsupported digest algorithm in '{digest}': only sha256 is supported"
        )
    digits = digest.removeprefix(_SHA256)
    length = len(digits.encode("utf-8", "surrogateescape"))
    if length != _SHA256_DIGITS:
        raise InvalidReferenceError(f"digest has {length} hex chars, expected {_SHA256_DIGITS}")
    if not _HEX_DIGITS.issuperset(digits):
        raise InvalidReferenceError("digest contains non-hex characters")


def unreachable(host: str, path: str) -> str:
    """Say, as 0.8.0 does, that a request for `path` at a registry did not get through."""
    address = _url("http" if _is_local(host) else "https", host, path)
    if address is None:
        return "HTTP request failed: builder error"
    return f"HTTP request failed: error sending request for url ({address})"


def host_of(registry: str, mirrors: Mapping[str, str]) -> str:
    """Return the host that is asked for what `registry` holds."""
    host = mirrors.get(registry, registry)
    return "registry-1.docker.io" if host == "docker.io" else host


def _is_local(host: str) -> bool:
    if "::" in host and not host.startswith("["):
        return host == "::1"
    name = host.lstrip("[").partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    if name in ("localhost", "::1", "0.0.0.0"):  # noqa: S104 - compared, not bound
        return True
    return name.startswith("127.") and _is_ipv4(name)


def _is_ipv4(host: str) -> bool:
    octets = host.split(".")
    return len(octets) == 4 and all(  # noqa: PLR2004
        octet.isascii() and octet.isdigit() and is_at_most(octet, 255) for octet in octets
    )


def _url(scheme: str, host: str, path: str) -> str | None:
    """Write an address as the URL standard does; None if it is none."""
    path, has_fragment, fragment = path.partition("#")
    path, has_query, query = path.partition("?")
    # What stands behind a backslash is path already.
    host, _, rest = host.replace("\\", "/").partition("/")
    name, separator, port = host.rpartition(":")
    if not separator or port.endswith("]"):
        name, port = host, ""
    if port and not (port.isascii() and port.isdigit() and is_at_most(port, _MAX_PORT)):
        return None
    bare = name[1:-1] if name.startswith("[") and name.endswith("]") else name
    if not bare or (bare == name and _FORBIDDEN_IN_HOST.intersection(bare)):
        return None
    if bare.rpartition(".")[2].isdigit() and not _is_ipv4(bare):
        return None
    port = port.lstrip("0") or port[-1:]
    if port and int(port) != _DEFAULT_PORTS[scheme]:
        name = f"{name}:{int(port)}"
    segments: list[str] = []
    asked = f"{rest}/{path}" if rest else path
    *folders, last = asked.replace("\\", "/").split("/")
    for segment in folders:
        if segment == "..":
            del segments[-1:]
        elif segment != ".":
            segments.append(_encoded(segment))
    if last == "..":
        del segments[-1:]
    segments.append("" if last in (".", "..") else _encoded(last))
    query = has_query + _encoded(query, _ENCODED_IN_QUERY)
    fragment = has_fragment + _encoded(fragment, _ENCODED_IN_FRAGMENT)
    return f"{scheme}://{name.lower()}/{'/'.join(segments)}{query}{fragment}"


def _encoded(text: str, encoded: str = _ENCODED_IN_PATH) -> str:
    return "".join(
        [
            chr(byte)
            if 0x20 <= byte < 0x7F and chr(byte) not in encoded  # noqa: PLR2004
            else f"%{byte:02X}"
            for byte in text.encode("utf-8", "surrogateescape")
        ]
    )
