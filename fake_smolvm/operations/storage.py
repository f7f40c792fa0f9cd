"""What is on the storage disk of a machine, which is booted to be asked."""

from __future__ import annotations

from fake_smolvm.machines.agent import agent_of
from fake_smolvm.machines.boot import begin_boot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fake_smolvm.guest.images import Image
    from fake_smolvm.host import Host
    from fake_smolvm.machines.paths import Paths
    from fake_smolvm.machines.record import Record


def boot_if_stopped(host: Host, paths: Paths, record: Record, notice: str) -> None:
    """Check that a machine which does not run could be booted for a moment, after a notice.

    Raises CommandError when it could not.
    """
    if agent_of(paths, record.name) is None:
        host.err(notice)
        with begin_boot(paths, record.name, virtual=True):
            pass


def fetched_images(host: Host, record: Record) -> list[Image]:
    """The images on a machine's storage disk: its own, once it was started."""
    if record.image is None or not record.init_completed:
        return []
    if record.images_pruned or record.source_smolmachine is not None:
        return []
    from fake_smolvm.guest.images import find

    image = find(host.env, record.image)
    return [] if image is None else [image]
