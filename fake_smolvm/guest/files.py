"""The files of a machine: its root, laid out as its image is, with its volumes in their places."""

from __future__ import annotations

from fake_smolvm.guest import root as guest_root
from fake_smolvm.guest.tree import GuestTree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fake_smolvm.guest.images import Image
    from fake_smolvm.machines.paths import Paths
    from fake_smolvm.machines.record import Record

SSH_AGENT = "/tmp/ssh-agent.sock"  # noqa: S108 - in the guest
"""Where the host's SSH agent is in a machine that has it; here a file that nobody listens to."""


def files(paths: Paths, record: Record) -> GuestTree:
    """Return a machine's files, laid out if they were not yet, with its volumes in their places."""
    root = paths.guest_root(record.name)
    if not guest_root.is_laid_out(root):
        from fake_smolvm.machines import root_pool

        image = image_of(paths, record)
        root_pool.take(paths, root)
        guest_root.lay_out(root, identity_of(image), (image and image.workdir) or "/")
    for _, place, _ in record.mounts:
        # Where a volume goes there is a folder, as the agent makes it.
        guest_root.make_folder(root, place)
    if record.ssh_agent:
        guest_root.make_file(root, SSH_AGENT)
    return GuestTree(root, record.mounts)


def image_of(paths: Paths, record: Record) -> Image | None:
    """Return the image of a machine; None for a bare one, or if it is not provided."""
    if record.image is None:
        return None
    from fake_smolvm.guest import images

    return images.find(paths.env, record.image)


def identity_of(image: Image | None) -> guest_root.Identity:
    """Return how the guest of an image looks, or that of a bare machine."""
    return guest_root.load(guest_root.BARE if image is None else image.identity)
