"""The machine in an artifact: made for one command, or started and left running by its program."""

from __future__ import annotations

import os
import time

from fake_smolvm.artifacts.cache import Cache
from fake_smolvm.artifacts.errors import ArtifactError
from fake_smolvm.artifacts.root import fill_root
from fake_smolvm.clap.outcome import Matches
from fake_smolvm.errors import CommandError
from fake_smolvm.fastjson import dumps, loads
from fake_smolvm.guest import kinds
from fake_smolvm.machines import lifecycle, resources
from fake_smolvm.machines.agent import agent_of, end
from fake_smolvm.machines.boot import begin_boot
from fake_smolvm.machines.paths import Paths
from fake_smolvm.machines.record import Record
from fake_smolvm.machines.store import Store
from fake_smolvm.operations.session import Leaving, Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fake_smolvm.artifacts.format import Footer
    from fake_smolvm.artifacts.manifest import Manifest
    from fake_smolvm.host import Host
    from fake_smolvm.machines.process import Process

_SHELL = "/bin/sh"


def failed(what: str, why: str) -> CommandError:
    """Return the failure of something that has to do with an artifact."""
    return CommandError(f"agent operation failed: {what}: {why}")


def say(host: Host, text: str, *, wanted: bool) -> None:
    """Say what is done with an artifact, if `--debug` wanted that."""
    if wanted:
        host.err(f"debug: {text}\n")


class Packed:
    """An artifact that is about to be run."""

    __slots__ = ("debug", "footer", "host", "inside_program", "manifest", "path", "paths")

    def __init__(
        self,
        path: str,
        host: Host,
        footer: Footer,
        manifest: Manifest,
        *,
        debug: bool = False,
        inside_program: bool = False,
    ) -> None:
        self.path = path
        self.host = host
        self.footer = footer
        self.manifest = manifest
        self.paths = Paths(host.env)
        self.inside_program = inside_program
        """Whether the assets are appended to a program."""
        self.debug = debug

    def say(self, text: str) -> None:
        """Say what is done, if that was asked for."""
        say(self.host, text, wanted=self.debug)

    def description(self) -> str:
        """Describe the manifest as `--info` does."""
        manifest = self.manifest
        lines = [
            f"Mode:       {manifest.mode}",
            f"Image:      {manifest.image}",
            f"Digest:     {manifest.digest}",
            f"Platform:   {manifest.platform}",
            f"CPUs:       {manifest.cpus}",
            f"Memory:     {manifest.mem} MiB",
        ]
        if manifest.network:
            lines.append("Network:    enabled")
        if manifest.entrypoint:
            lines.append(f"Entrypoint: {' '.join(manifest.entrypoint)}")
        if manifest.cmd:
            lines.append(f"Cmd:        {' '.join(manifest.cmd)}")
        if manifest.workdir is not None:
            lines.append(f"Workdir:    {manifest.workdir}")
        if manifest.env:
            lines.append("Env:")
            lines += [f"  {entry}" for entry in manifest.env]
        lines.append(f"Checksum:   {self.footer.checksum:08x}")
        return "\n".join(lines) + "\n"

    def unpack(self, *, force: bool) -> None:
        """Unpack the assets, unless they are there."""
        self.paths.make_state()
        cache = Cache(self.paths)
        try:
            unpacked = cache.add(
                self.path, self.footer, force=force, inside_program=self.inside_program
            )
        except ArtifactError as error:
            raise failed("extract assets", str(error)) from None
        if unpacked:
            size = self.footer.assets_size
            self.say(f"reading {size} bytes of compressed assets from sidecar {self.path}")
            self.say(f"extracted assets to {self._shown_entry()}")
        else:
            self.say("assets already extracted (possibly by another process)")

    def record(self, name: str, matches: Matches) -> Record:
        """Return the machine that the manifest and the command line describe.

        Raises CommandError for a volume or a network backend that cannot be.
        """
        manifest = self.manifest
        record = Record(name, int(time.time()))
        record.mounts = resources.parse_mounts(matches["volume"], self.host.cwd)
        record.ports = matches["port"]
        record.network = matches["net"] or manifest.network or bool(record.ports)
        record.network_backend = matches["net_backend"]
        resources.check_network_backend(record)
        record.cpus = manifest.cpus if matches["cpus"] is None else matches["cpus"]
        record.mem = manifest.mem if matches["mem"] is None else matches["mem"]
        record.image = None if manifest.mode == "vm" else manifest.image
        record.source_smolmachine = self.path
        entry = self._shown_entry()
        self.say(f"rootfs={entry}/agent-rootfs")
        self.say(f"lib_dir={entry}/lib")
        self.say(
            f"resources cpus={record.cpus} mem={record.mem}"
            f" net={str(record.network).lower()} gpu={str(manifest.gpu).lower()}"
        )
        return record

    def fill_root(self, record: Record) -> None:
        """Lay the layers into the root of the machine, which has none yet."""
        entry = Cache(self.paths).entry(self.footer)
        fill_root(entry, self.manifest, self.paths.guest_root(record.name))

    def _shown_entry(self) -> str:
        cache = Cache(self.paths)
        return os.path.join(cache.shown_folder, f"{self.footer.checksum:08x}")


def run_once(packed: Packed, matches: Matches) -> int:
    """Boot a machine, run the command in it, remove the machine; return the command's exit code."""
    packed.unpack(force=matches["force_extract"])
    name = f"packed-{os.getpid()}-{time.time_ns()}"
    paths = packed.paths
    record = packed.record(name, matches)
    try:
        packed.fill_root(record)
        with begin_boot(paths, name, virtual=True) as boot:
            process = boot.run()
            packed.say(f"forked VM process with PID {process.pid}")
            code = execute(packed, record, process, matches)
            end(paths, name, process)
    finally:
        lifecycle.remove_data(paths, name)
    return code


def execute(packed: Packed, record: Record, process: Process, matches: Matches) -> int:
    """Run the command, or what the manifest says, in a booted machine; return its exit code."""
    manifest = packed.manifest
    argv = matches["command"] or [*manifest.entrypoint, *manifest.cmd] or [_SHELL]
    env = dict(resources.parse_env(manifest.env))
    for name, value in resources.parse_env(matches["env"]):
        env.pop(name, None)
        env[name] = value
    terminal: bool = matches["tty"]
    mode = "interactive" if matches["interactive"] or terminal else ""
    host, container = packed.host, record.image is not None
    inside = kinds.of(host, packed.paths, record, process)
    session = Session(host, inside, process, mode=mode, container=container)
    with Leaving(host) as leaving:
        leaving.code = session.run(
            argv,
            env.items(),
            manifest.workdir if matches["workdir"] is None else matches["workdir"],
            timeout=matches["timeout"],
            terminal=terminal,
        )
    return leaving.code


def start(packed: Packed, matches: Matches) -> None:
    """Boot the program's own machine and leave it running; its files stay when it ends."""
    packed.unpack(force=matches["force_extract"])
    daemon = Daemon(packed)
    paths, name = packed.paths, daemon.name
    known = daemon.record()
    process = None if known is None else agent_of(paths, name)
    if process is not None:
        packed.host.out(f"Daemon already running (PID: {process.pid})\n")
        return
    record = packed.record(name, matches)
    if not os.path.isdir(paths.guest_root(name)):
        packed.fill_root(record)
    Store(paths).remove(name)  # Makes the store: without one a machine's process ends.
    with begin_boot(paths, name, virtual=packed.host.in_process) as boot:
        process = boot.run()
        record.pid, record.pid_start_time = process.pid, process.start_time
        daemon.write(record)
    packed.say(f"forked VM process with PID {process.pid}")
    packed.host.out(f"Starting daemon...\nDaemon started (PID: {process.pid})\n")


def stop(packed: Packed) -> None:
    """End the program's own machine."""
    daemon = Daemon(packed)
    record = daemon.record()
    if record is None:
        packed.host.out("Daemon not running\n")
        return
    process = lifecycle.process_of(record)
    if process is not None:
        end(packed.paths, daemon.name, process)
    daemon.forget()
    packed.host.out("Daemon stopped\n")


def status(packed: Packed) -> None:
    """Say whether the program's own machine runs."""
    daemon = Daemon(packed)
    record = daemon.record()
    process = None if record is None else lifecycle.process_of(record)
    if process is None:
        packed.host.out("Status: not running\n")
        return
    condition = process.condition()
    if condition == "gone":
        packed.host.out("Status: not running (stale PID file)\n")
        daemon.forget()
    else:
        silent = ", agent not responding" if condition == "frozen" else ""
        packed.host.out(f"Status: running (PID: {process.pid}{silent})\n")


def run_in_started(packed: Packed, matches: Matches) -> int:
    """Run a command, or a shell, in the program's own machine; return its exit code."""
    daemon = Daemon(packed)
    record = daemon.record()
    process = None if record is None else agent_of(packed.paths, daemon.name)
    if record is None or process is None:
        raise failed("daemon exec", "daemon is not running. Start it with: <binary> start")
    if matches.command == ("shell",):
        shell = {"command": [_SHELL], "interactive": True, "tty": True}
        absent: dict[str, object] = {"timeout": None, "workdir": None, "env": []}
        matches = Matches(("exec",), {**matches.values, **shell, **absent}, set())
    return execute(packed, record, process, matches)


class Daemon:
    """The machine that a packed program starts and leaves running: its name and its record."""

    __slots__ = ("_file", "name")

    def __init__(self, packed: Packed) -> None:
        self.name = f"packed-{packed.footer.checksum:08x}"
        self._file = os.path.join(packed.paths.machine_dir(self.name), "record")

    def record(self) -> Record | None:
        """Return the record that `start` wrote; None if none was started."""
        try:
            with open(self._file, encoding="utf-8") as file:
                return Record.from_row(loads(file.read()))
        except FileNotFoundError:
            return None

    def write(self, record: Record) -> None:
        """Keep the record for the commands that come."""
        with open(self._file + ".new", "w", encoding="utf-8") as file:
            file.write(dumps(record.to_row()))
        os.rename(self._file + ".new", self._file)

    def forget(self) -> None:
        """Keep it no more; the machine's files stay."""
        os.remove(self._file)
