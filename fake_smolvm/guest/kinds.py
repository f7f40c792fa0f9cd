"""Which kind of guest a machine has, and what its commands are given."""

from __future__ import annotations

import sys

from fake_smolvm.guest.bashkit.guest import BashkitGuest
from fake_smolvm.guest.bashkit.inside import inside_of
from fake_smolvm.guest.files import image_of
from fake_smolvm.machines.agent import agent_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fake_smolvm.guest.protocol import Guest
    from fake_smolvm.host import Host
    from fake_smolvm.machines.paths import Paths
    from fake_smolvm.machines.process import Process
    from fake_smolvm.machines.record import Record


def of(host: Host, paths: Paths, record: Record, process: Process | None = None) -> Guest:
    """Return the guest of a machine; its commands end when its process does."""
    if process is None:
        process = agent_of(paths, record.name)
    inside = inside_of(paths, record, process=process, scenario=host.scenario)
    return BashkitGuest(inside, may_fork=not host.in_process)


def defaults(paths: Paths, record: Record) -> tuple[list[tuple[str, str]], str | None]:
    """Return the environment and the folder of a machine's commands: its image's, then its own."""
    image = image_of(paths, record)
    env: dict[str, str] = {}
    if image is not None:
        env.update(entry.partition("=")[::2] for entry in image.env)
    for name, value in record.env:
        env.pop(name, None)
        env[name] = value
    return list(env.items()), record.workdir or (None if image is None else image.workdir)


def linger() -> bool:
    """Return whether this process may hold a guest's shell, for which Python would wait."""
    return "bashkit._bashkit" in sys.modules
