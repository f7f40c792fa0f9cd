"""smolvm's own value types. Observed: the real 0.8.0 and, where marked, 1.4.0."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fake_smolvm.grammars.value_parsers import (
    byte_size,
    cidr,
    duration,
    gpu_vram_mib,
    image,
    ipv4,
    port_mapping,
)

if TYPE_CHECKING:
    from collections.abc import Callable

SECOND = 10**9
TOO_LARGE = (
    "number is too large or cannot be represented without a lack of precision "
    "(values below 1ns are not supported)"
)
NO_UNIT = (
    'unknown time unit "{}", supported units: ns, us/µs, ms, sec, min, hours, days, weeks, months, '
    "years (and few variations)"
)
NO_VRAM = (
    "--gpu-vram must be a positive number of MiB; "
    "use a value >= 1 or omit the flag to get the default"
)
NO_CIDRS = [
    *(
        "",
        "x",
        "1.2.3",
        "1.2.3.4/33",
        "01.2.3.4",
        "1.2.3.4/",
        "1.2.3.4/008",
        "::/129",
        "10.0.0.0/8 ",
    ),
    *("1::2::3", "1:2:3:4::5:6:7:8", ":1", "1.2.3.4::", "::1%eth0", "1:2:3:4:5:6:7:8:9", "12345::"),
]
NO_CIDR = "invalid CIDR '{}': expected format like 10.0.0.0/8 or 1.1.1.1"


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (duration, "30s", 30 * SECOND),
        (duration, "1h 30m", 5400 * SECOND),
        (duration, "1h30m", 5400 * SECOND),
        (duration, "500ms", SECOND // 2),
        (duration, "1.5s", 3 * SECOND // 2),
        (duration, "1.5h", 5400 * SECOND),
        (duration, "1µs", 1000),
        (duration, " 1 0 s ", 10 * SECOND),
        (duration, "2m3s", 123 * SECOND),
        (duration, "1M 1w 1d 1y", (2_630_016 + 604_800 + 86_400 + 31_557_600) * SECOND),
        (duration, "18446744073709551615s", (2**64 - 1) * SECOND),
        (port_mapping, "80", (80, 80)),
        (port_mapping, "8080:80", (8080, 80)),
        (port_mapping, "+1:065", (1, 65)),
        (cidr, "10.1.2.3/8", "10.1.2.3/8"),
        (cidr, "1.1.1.1", "1.1.1.1/32"),
        (cidr, "01.2.3.4/08", "1.2.3.4/8"),
        (cidr, "::1", "::1/128"),
        (cidr, "0:0:1:0:0:0:0:1/64", "0:0:1::1/64"),
        (cidr, "::ffff:1.2.3.4", "::ffff:1.2.3.4/128"),
        (cidr, "1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7/128"),
        (cidr, "1:2:3:4::5:6:7:8/1", "1:2:3:4:5:6:7:8/1"),
        (gpu_vram_mib, "4096", 4096),
        (gpu_vram_mib, "+1", 1),
        (image, "alpine", "alpine"),
        (byte_size, "16GiB", 2**34),
        (byte_size, " 1.5k ", 1536),
        (byte_size, "7", 7),
        (byte_size, "99999999999T", 2**64 - 1),
        (ipv4, "1.2.3.4", "1.2.3.4"),
    ],
)
def test_a_good_value_is_read(read: Callable[[str], object], text: str, value: object) -> None:
    assert read(text) == value


@pytest.mark.parametrize(
    ("read", "text", "reason"),
    [
        (duration, "0", "timeout must be greater than 0 (e.g., 5sec, 30s)"),
        (duration, "0s", "timeout must be greater than 0 (e.g., 5sec, 30s)"),
        (duration, "", "value was empty"),
        (duration, "  ", "value was empty"),
        (duration, "5", "time unit needed, for example 5sec or 5ms"),
        (duration, "s", "expected number at 0"),
        (duration, "-5s", "expected number at 0"),
        (duration, "5s  x", "expected number at 3"),
        (duration, "5s!", "invalid character at 2"),
        (duration, "é5s", "expected number at 0"),
        (duration, "5é", "invalid character at 1"),
        (duration, "1.s", "invalid character at 1"),
        (duration, "1.", "invalid character at 1"),
        (duration, ".5s", "expected number at 0"),
        (duration, "0.5ns", TOO_LARGE),
        (duration, "0.0000000001s", TOO_LARGE),
        (duration, "1.0001h", TOO_LARGE),
        (duration, "18446744073709551616s", TOO_LARGE),
        (duration, "18446744073709551615s 1s", TOO_LARGE),
        (duration, "1ms 18446744073709551615ns", TOO_LARGE),
        (duration, "5parsecs", NO_UNIT.format("parsecs")),
        (port_mapping, "", "invalid port: "),
        (port_mapping, "0", "port 0 is not valid for VM port forwarding"),
        (port_mapping, "70000", "invalid port: 70000"),
        (port_mapping, "a:80", "invalid host port: a"),
        (port_mapping, "0:80", "host port 0 is not valid for VM port forwarding"),
        (port_mapping, "80:0", "guest port 0 is not valid for VM port forwarding"),
        (port_mapping, "1:2:3", "invalid guest port: 2:3"),
        *[(cidr, text, NO_CIDR.format(text)) for text in NO_CIDRS],
        (gpu_vram_mib, "x", "'x' is not a valid MiB value"),
        (gpu_vram_mib, "0", NO_VRAM),
        (image, " \u3000", "image reference must not be empty"),
        (byte_size, " ", "size must not be empty"),
        (byte_size, "0.0001", "size '0.0001' must be greater than zero"),
        (byte_size, "1X", "invalid size unit 'x' in '1X' (use K, M, G, or T)"),
        (byte_size, ".", "'.' is not a valid size (expected a number, optional K/M/G/T)"),
        (byte_size, "k", "'k' is not a valid size (expected a number, optional K/M/G/T)"),
        (ipv4, "01.2.3.4", "invalid IPv4 address syntax"),
    ],
)
def test_a_bad_value_is_refused_with_smolvms_reason(
    read: Callable[[str], object], text: str, reason: str
) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the whole text is compared
        read(text)
    assert str(refused.value) == reason
