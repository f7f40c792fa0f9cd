"""What each version of smolvm can do and does differently, as data.

From the upstream source of 0.1.0 to 1.9.3 and the real binaries 0.8.0 and 1.4.0 to 1.32.2. Versions
that nobody looked at, between two that differ, are taken to be like the older one.
"""

from __future__ import annotations

from functools import cache

from smolvm_wrapper.errors import UnsupportedError
from smolvm_wrapper.values import Value

OLDEST_KNOWN = "0.8.0"
NEWEST_KNOWN = "1.32.2"

# The version that brought a command, or an option of one. What is not here is older than 0.2.0.
SINCE = {
    "machine": "0.2.0",
    "machine run --allow-host": "0.5.0",
    "machine run --ssh-agent": "0.5.0",
    "machine run --net-backend": "0.5.13",
    "machine run --gpu": "0.6.0",
    "machine run --gpu-vram": "0.6.0",
    "machine exec --stream": "0.5.2",
    "machine create --allow-host": "0.5.0",
    "machine create --ssh-agent": "0.5.0",
    "machine create --image": "0.5.1",
    "machine create --from": "0.5.12",
    "machine create --net-backend": "0.5.13",
    "machine create --gpu": "0.6.0",
    "machine create --gpu-vram": "0.6.0",
    "machine monitor": "0.5.0",
    "machine cp": "0.5.2",
    "machine data-dir": "0.5.15",
    "machine update": "0.6.3",
    "machine shell": "0.6.3",
    "machine status --json": "0.8.0",
    "pack create": "0.1.18",
    "pack create --image": "0.2.0",
    "pack create --gpu": "0.6.0",
    "pack run": "0.1.18",
    "pack prune": "0.5.0",
    "pack push": "0.5.8",
    "pack pull": "0.5.8",
    "pack inspect": "0.5.8",
    "config": "0.1.4",
}

# The version that took a command away, or gave its name to something else.
UNTIL = {
    "machine resize": "1.18.3",  # by 1.22.2 it grows a running machine; `machine update` is left
}


class Trait:
    """A way in which versions differ without refusing: from `first` on, until before `last`."""

    def __init__(self, first: str, last: str | None = None) -> None:
        self.first = first
        self.last = last


# create, delete, update and data-dir take `--name NAME`, not NAME.
NAME_IS_AN_OPTION = Trait("1.0.2")
# `--error-format json`.
JSON_ERRORS = Trait("1.29.1")
# H1: `create --from` throws the egress flags away.
FROM_DROPS_EGRESS = Trait("0.5.12", "1.8.0")
# H1 as well, but never fixed.
FROM_IGNORES_WORKDIR_AND_GPU = Trait("0.5.12")
# H2: the network backend does not enforce an allow-list (upstream's own finding).
EGRESS_NOT_ENFORCED = Trait("0.2.0", "1.1.3")
# With `create --from`, 4 CPUs or 8192 MiB count as "not given"; seen up to 1.13.1.
FROM_DISREGARDS_DEFAULTS = Trait("0.5.12", "1.13.2")
# H3: up to 0.8.0 `delete` does not stop a running machine, up to 1.7.1 a failed stop only warns.
DELETE_MAY_LEAVE_A_PROCESS = Trait("0.2.0", "1.7.2")
# H12: a guest command killed by a signal ends with 255, as if it had said so itself.
SIGNAL_IS_255 = Trait("0.1.0", "0.8.1")


class Dialect(Value):
    """How one version of smolvm is spoken to."""

    version: str

    def __init__(self, version: str) -> None:
        vars(self).update(version=version)

    @property
    def known(self) -> bool:
        """Whether the wrapper was written for this version."""
        return _number(OLDEST_KNOWN) <= _number(self.version) <= _number(NEWEST_KNOWN)

    def has(self, trait: Trait) -> bool:
        """Whether this version has the trait."""
        here = _number(self.version)
        return _number(trait.first) <= here and (trait.last is None or here < _number(trait.last))

    def require(self, feature: str) -> None:
        """Check that this version has a command (`machine cp`) or option (`machine create --from`).

        Raises:
            UnsupportedError: it does not.
        """
        here = _number(self.version)
        if here < _number(SINCE.get(feature, "0.0.0")):
            raise UnsupportedError(
                f"smolvm {self.version} has no `{feature}`; {SINCE[feature]} was the first with it"
            )
        if feature in UNTIL and here >= _number(UNTIL[feature]):
            raise UnsupportedError(f"smolvm {self.version} means something else by `{feature}`")


def version_in(text: str) -> str | None:
    """Return the version in what `smolvm --version` printed, or in what a user calls one."""
    return next((word for word in text.split(maxsplit=2)[:2] if _is_version(word)), None)


def _is_version(word: str) -> bool:
    numbers = word.partition("+")[0].partition("-")[0].split(".")
    return len(numbers) == 3 and all(part.isascii() and part.isdigit() for part in numbers)  # noqa: PLR2004


@cache
def _number(version: str) -> tuple[int, ...]:
    digits = (
        "".join(c for c in part if c.isdigit())
        for part in version.split("-", maxsplit=1)[0].split(".")
    )
    return tuple(int(part or 0) for part in digits)
