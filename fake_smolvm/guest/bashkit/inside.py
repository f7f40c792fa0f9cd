"""What is inside a machine: all that a program of its guest may find, ask and do."""

from __future__ import annotations

import os
import time
from stat import S_ISREG

from fake_smolvm.guest.files import files, identity_of, image_of
from fake_smolvm.machines.process import FIRST_VIRTUAL_PID, set_condition

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from fake_smolvm.guest.egress import Reach
    from fake_smolvm.guest.root import Identity
    from fake_smolvm.guest.tree import GuestTree
    from fake_smolvm.machines.paths import Paths
    from fake_smolvm.machines.process import Process
    from fake_smolvm.machines.record import Record
    from fake_smolvm.scenarios.guest_commands import Answer
    from fake_smolvm.scenarios.scenario import Scenario

_KERNEL_THREADS = ("kthreadd", "kworker/0:0-eve", "ksoftirqd/0", "rcu_preempt", "kswapd0")
_AGENT_PID = 360
_FIRST_PID = 640


class Inside:
    """The inside of one machine, from one start of it to its stop.

    Attributes:
        paths: where everything of the fake's is.
        record: the machine's.
        process: with which the machine's commands end, if it has one.
        root: the host folder that is `/`.
        tree: its files, with the volumes in their places.
        identity: how it looks.
        user: the number of the user that commands run as.
    """

    __slots__ = (
        "_scenario",
        "cpus",
        "hostname",
        "identity",
        "memory_mib",
        "mounts",
        "overlay_gib",
        "paths",
        "process",
        "record",
        "root",
        "storage_gib",
        "tree",
        "user",
    )

    def __init__(
        self,
        paths: Paths,
        record: Record,
        tree: GuestTree,
        identity: Identity,
        *,
        user: int = 0,
        process: Process | None = None,
        scenario: Scenario | None = None,
    ) -> None:
        self.paths = paths
        self.record = record
        self._scenario = scenario
        self.process = process
        self.root = paths.guest_root(record.name)
        self.mounts = record.mounts
        self.hostname = "localhost"
        self.cpus = record.cpus
        self.memory_mib = record.mem
        self.storage_gib = record.storage_gb or 20
        self.overlay_gib = record.overlay_gb or 10
        self.identity = identity
        self.user = user
        self.tree = tree

    def find_command(self, name: str, path: str) -> str | None:
        """Give the absolute path that a name means, looked up in a PATH; None if there is none."""
        places = [f"{folder}/{name}" for folder in path.split(":") if folder]
        for place in places:
            if self.identity.has(place):
                return place
            # Most places have nothing; a look past the guest's links is enough to see that.
            if os.path.lexists(self.root + place) and self._is_executable(place):
                return place
        return next((place for place in places if self._is_executable(place)), None)

    def _is_executable(self, path: str) -> bool:
        try:
            mode = os.stat(self.tree.host_path(path)).st_mode
        except OSError:
            return False
        return bool(mode & 0o111) and S_ISREG(mode)

    @property
    def asks_the_test(self) -> bool:
        """Whether the test may answer for commands."""
        return self._scenario is not None and bool(self._scenario.guest_commands)

    def ask_the_test(
        self, argv: list[str], env: Mapping[str, str], cwd: str, stdin: bytes
    ) -> Answer | None:
        """Return what the test answers for a command of the guest, if it does."""
        scenario = self._scenario
        return None if scenario is None else scenario.guest_command(argv, env, cwd, stdin)

    def reach(self, argv: Sequence[str], destination: str) -> Reach:
        """Tell whether this machine reaches a destination; notes what 0.8.0 does not enforce."""
        from fake_smolvm.guest import egress

        found = egress.reach(self.record, destination, egress.network_of(self.paths.env))
        if found.unenforced:
            from fake_smolvm.machines.hazards import note

            note(
                self.paths,
                "H2",
                command=f"machine exec ({argv[0]})",
                machine=self.record.name,
                consequence=f"{destination} is not on the machine's list, and reached all the same",
            )
        return found

    def fetch(
        self, argv: Sequence[str], url: str, host: str
    ) -> tuple[str | None, Mapping[str, Any]]:
        """Ask for a URL: why it cannot be had, or None, and what the test has there."""
        from fake_smolvm.guest import egress

        found = self.reach(argv, host)
        if found.verdict == "no network":
            return "Network unreachable", {}
        if not found:
            return ("unknown" if found.unknown else found.verdict), {}
        answer = egress.network_of(self.paths.env).answer(url)
        if answer is not None:
            return None, answer
        # Nothing leaves the host. Only of the machine itself it is known that nobody is there.
        return ("Connection refused" if egress.is_loopback(found) else "no answer"), {}

    def process_lines(self, own: str) -> Iterator[tuple[int, str]]:
        """Give the processes in the machine, as `ps` shows them; the last is `ps` itself."""
        yield 1, "/init.krun /sbin/init"
        for number, name in enumerate(_KERNEL_THREADS, 2):
            yield number, f"[{name}]"
        yield _AGENT_PID, "{memfd:agent} /sbin/init /sbin/init"
        pid = _FIRST_PID
        for line in self._background():
            yield pid, line
            pid += 1
        yield pid, own

    def go_silent(self) -> None:
        """Let the agent be gone and the process stay, as after a `poweroff` in the guest."""
        process = self.process
        if process is None:
            return
        if process.pid >= FIRST_VIRTUAL_PID:
            set_condition(process.pid, "frozen")
        else:
            from signal import SIGSTOP

            os.kill(process.pid, SIGSTOP)

    def locks(self) -> list[str]:
        """Return the files that whoever starts the machine holds locked meanwhile."""
        return self.paths.start_locks(self.record.name)

    def note_background(self, argv: Sequence[str]) -> None:
        """Have `ps` show a command from now on, until the machine stops."""
        pid = 0 if self.process is None else self.process.pid
        line = f"{pid} {time.time_ns()} {' '.join(argv)}".replace("\n", " ")
        with open(self._background_file, "ab", buffering=0) as file:
            file.write(line.encode("utf-8", "surrogateescape") + b"\n")

    @property
    def _background_file(self) -> str:
        return os.path.join(self.paths.machine_dir(self.record.name), "background")

    def _background(self) -> Iterator[str]:
        pid = "0" if self.process is None else str(self.process.pid)
        try:
            with open(self._background_file, encoding="utf-8", errors="surrogateescape") as file:
                lines = file.read().splitlines()
        except OSError:
            return
        now = time.time_ns()
        for line in lines:
            owner, started, text = line.split(" ", 2)
            words = text.split()
            seconds = words[1] if len(words) == 2 and words[0] == "sleep" else ""  # noqa: PLR2004
            over = seconds.isdigit() and now - int(started) > int(seconds) * 10**9
            if owner == pid and not over:
                yield text


def inside_of(
    paths: Paths,
    record: Record,
    *,
    process: Process | None = None,
    scenario: Scenario | None = None,
) -> Inside:
    """Return the inside of a machine; its files are laid out if they were not yet."""
    image = image_of(paths, record)
    identity = identity_of(image)
    user = 0 if image is None else image.user
    tree = files(paths, record)
    root = paths.guest_root(record.name)
    if os.path.exists(f"{root}/.smolvm-packages"):
        from fake_smolvm.guest.packages import with_installed

        identity = with_installed(identity, root)
    return Inside(paths, record, tree, identity, user=user, process=process, scenario=scenario)
