"""`smolvm pack push`."""

from __future__ import annotations

import hashlib
import os

from fake_smolvm.artifacts.errors import ArtifactError
from fake_smolvm.artifacts.format import read_manifest
from fake_smolvm.errors import CommandError, os_error_text
from fake_smolvm.operations.registries import DEFAULT_TAG, Registry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fake_smolvm.clap.outcome import Matches
    from fake_smolvm.host import Host


def run(matches: Matches, host: Host) -> int:
    """Check everything that the real one checks, then fail as it does where no registry answers."""
    shown = matches["file"]
    path = os.path.join(host.cwd, shown)
    if not os.path.exists(path):
        raise CommandError(f"agent operation failed: push: file not found: {shown}")
    registry = Registry(matches["reference"], host)
    reference = registry.reference
    tag = reference.tag or DEFAULT_TAG
    host.err(f"Pushing {shown} to {reference.registry}/{reference.repository}:{tag}\n")
    try:
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        read_manifest(path)
    except OSError as error:
        problem = f"IO error: {os_error_text(error)}"
    except ArtifactError as error:
        problem = f"pack format error: {error}"
    else:
        problem = registry.unreachable(f"blobs/sha256:{digest}")
    raise CommandError(f"agent operation failed: registry push: {problem}")
