"""smolvm's own value types: from the text of an option to its value.

Each raises ValueError with smolvm's reason. Observed: 0.8.0, argv.jsonl; 1.4.0 reads them alike.
"""

from __future__ import annotations

from fake_smolvm.rust.integers import from_str
from fake_smolvm.rust.std import WHITE_SPACE

_U16 = 2**16 - 1
_U32 = 2**32 - 1
_U64 = 2**64 - 1
_BYTES = {
    name: 1024**power
    for power, names in enumerate(
        (
            ("", "b"),
            ("k", "ki", "kib", "kb"),
            ("m", "mi", "mib", "mb"),
            ("g", "gi", "gib", "gb"),
            ("t", "ti", "tib", "tb"),
        )
    )
    for name in names
}


def duration(text: str) -> int:
    """Read a duration as humantime does (`1h 30m`, `1.5s`); return nanoseconds, above 0."""
    from fake_smolvm.rust import humantime

    nanoseconds = 0 if text == "0" else humantime.nanoseconds(text)
    if nanoseconds == 0:
        raise ValueError("timeout must be greater than 0 (e.g., 5sec, 30s)")
    return nanoseconds


def port_mapping(text: str) -> tuple[int, int]:
    """Read `HOST:GUEST` or `PORT`; return the host's and the guest's port, 1 to 65535."""
    host, colon, guest = text.partition(":")
    if not colon:
        port = _port(text, "port")
        return port, port
    return _port(host, "host port"), _port(guest, "guest port")


def cidr(text: str) -> str:
    """Read an IPv4 or IPv6 network or address; return it, host bits kept (`1.1.1.1/32`)."""
    from fake_smolvm.rust import ipnet

    network = ipnet.network(text) or ipnet.address(text)
    if network is None:
        raise ValueError(f"invalid CIDR '{text}': expected format like 10.0.0.0/8 or 1.1.1.1")
    return network


def gpu_vram_mib(text: str) -> int:
    """Read the size of a GPU's memory; return MiB, above 0."""
    try:
        size = from_str(text, 0, _U32)
    except ValueError:
        raise ValueError(f"'{text}' is not a valid MiB value") from None
    if size == 0:
        raise ValueError(
            "--gpu-vram must be a positive number of MiB; "
            "use a value >= 1 or omit the flag to get the default"
        )
    return size


def image(text: str) -> str:
    """Read the name of an image, any that is not blank (1.4.0)."""
    if not text.strip(WHITE_SPACE):
        raise ValueError("image reference must not be empty")
    return text


def byte_size(text: str) -> int:
    """Read a size like `16GiB`, `512M` or `1.5k`, all binary; return bytes, above 0 (1.4.0)."""
    trimmed = text.strip(WHITE_SPACE)
    if not trimmed:
        raise ValueError("size must not be empty")
    unit = trimmed.lstrip("0123456789.")
    number = trimmed[: len(trimmed) - len(unit)]
    if number.count(".") > 1 or not number.strip("."):
        raise ValueError(f"'{text}' is not a valid size (expected a number, optional K/M/G/T)")
    unit = _ascii_lower(unit.strip(WHITE_SPACE))
    factor = _BYTES.get(unit)
    if factor is None:
        raise ValueError(f"invalid size unit '{unit}' in '{text}' (use K, M, G, or T)")
    size = min(int(min(float(number) * factor, 2.0**64)), _U64)
    if size == 0:
        raise ValueError(f"size '{text}' must be greater than zero")
    return size


def ipv4(text: str) -> str:
    """Read an IPv4 address (1.4.0)."""
    from fake_smolvm.rust import ipnet

    if ipnet.ipv4(text, leading_zeros=False) is None:
        raise ValueError("invalid IPv4 address syntax")
    return text


def _ascii_lower(text: str) -> str:
    return "".join([letter.lower() if letter.isascii() else letter for letter in text])


def _port(text: str, what: str) -> int:
    try:
        port = from_str(text, 0, _U16)
    except ValueError:
        raise ValueError(f"invalid {what}: {text}") from None
    if port == 0:
        raise ValueError(f"{what} 0 is not valid for VM port forwarding")
    return port
