"""`smolvm pack pull`."""

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
    reference = registry.reference
    wanted = reference.tag_or_digest
    host.err(f"Pulling {reference.registry}/{reference.repository}:{wanted}\n")
    problem = registry.unreachable(f"manifests/{wanted}")
    raise CommandError(f"agent operation failed: registry pull: {problem}")
