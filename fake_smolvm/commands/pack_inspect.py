"""`smolvm pack inspect`."""

from __future__ import annotations

from fake_smolvm.errors import CommandError
from fake_smolvm.operations.registries import Registry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fake_smolvm.clap.outcome import Matches
    from fake_smolvm.host import Host


def run(matches: Matches, host: Host) -> int:
    """Fail as the real one does where no registry answers."""
    registry = Registry(matches["reference"], host)
    problem = registry.unreachable(f"manifests/{registry.reference.tag_or_digest}")
    raise CommandError(f"agent operation failed: fetch manifest: {problem}")
