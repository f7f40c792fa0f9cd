"""`smolvm serve openapi`: a listed gap; the fake has no HTTP API to describe."""

from __future__ import annotations

from fake_smolvm.errors import LimitError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fake_smolvm.clap.outcome import Matches
    from fake_smolvm.host import Host


def run(_matches: Matches, _host: Host) -> int:
    """Say that there is nothing to describe."""
    raise LimitError("no HTTP API is served, and there is no description of one")
