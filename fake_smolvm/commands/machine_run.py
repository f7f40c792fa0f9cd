"""`machine run`: a command in a machine made for it; or, detached, a machine that stays."""

from __future__ import annotations

import os
import time

from fake_smolvm.errors import CommandError
from fake_smolvm.machines import guest, lifecycle, names, resources
from fake_smolvm.machines.record import Record
from fake_smolvm.machines.store import MachineExistsError
from fake_smolvm.operations.connection import DEFAULT_MACHINE, open_state, pull
from fake_smolvm.operations.creation import set_options
from fake_smolvm.operations.session import Leaving, Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fake_smolvm.clap.outcome import Matches
    from fake_smolvm.host import Host
    from fake_smolvm.machines.lifecycle import Process
    from fake_smolvm.machines.paths import Paths
    from fake_smolvm.machines.store import Store

_SHELL = ["/bin/sh"]
_IDLE = ["sleep", "infinity"]
_FAILED = "config operation failed: machine run: "


def run(matches: Matches, host: Host) -> int:
    """Check what was asked for, in 0.8.0's order, boot the machine and run the command in it."""
    paths, store = open_state(host)
    asked = _Asked(matches, host, paths, store)
    if asked.detached:
        _run_detached(asked)
        return 0
    with Leaving(host) as leaving:
        leaving.code = _run_once(asked)
    return leaving.code


class _Asked:
    """What the command line and the Smolfile ask for; raises CommandError for what cannot be."""

    __slots__ = (
        "command",
        "detached",
        "host",
        "interactive",
        "paths",
        "record",
        "store",
        "terminal",
        "timeout",
    )

    def __init__(self, matches: Matches, host: Host, paths: Paths, store: Store) -> None:
        self.host = host
        self.paths = paths
        self.store = store
        self.detached: bool = matches["detach"]
        self.interactive: bool = matches["interactive"]
        self.terminal: bool = matches["tty"]
        self.timeout: int | None = matches["timeout"]
        self.command: list[str] = matches["command"]
        given: str | None = matches["name"]
        name = (given or DEFAULT_MACHINE) if self.detached else names.generate()
        if self.detached and name != DEFAULT_MACHINE and store.get(name) is not None:
            raise CommandError(
                f"config operation failed: machine run -d --name: a machine named '{name}' already "
                f"exists. Use 'machine start --name {name}' to start it, or "
                f"'machine delete {name} -f' to remove it."
            )
        record = self.record = Record(name, int(time.time()))
        self._fill(matches)
        self._check_command()
        resources.check_network_backend(record)
        self._make_disks()
        what = "persistent machine" if self.detached else f"ephemeral machine ({name})"
        host.err(f"Starting {what}...\n")
        if record.ssh_agent and "SSH_AUTH_SOCK" not in host.env:
            raise CommandError(
                "config operation failed: --ssh-agent: SSH_AUTH_SOCK is not set. "
                "Start an SSH agent with: eval $(ssh-agent) && ssh-add"
            )

    def _fill(self, matches: Matches) -> None:
        host, record = self.host, self.record
        record.cmd = self.command
        volumes, env = set_options(record, matches, host, self.paths)
        record.env = resources.parse_env(env)
        if len(record.env) < len(env):
            from fake_smolvm.machines.hazards import note

            note(
                self.paths,
                "H8",
                command="machine run",
                machine=record.name,
                consequence="values of -e without '=' or without a name: dropped",
            )
        record.mounts = resources.parse_mounts(volumes, host.cwd)
        duplicate = resources.duplicate_host_port(record.ports)
        if duplicate is not None:
            raise CommandError(f"config operation failed: validate ports: {duplicate}")
        if matches["docker_config"]:
            self._mount_docker_config()
        record.ssh_agent = bool(matches["ssh_agent"] or record.ssh_agent)
        record.gpu = bool(matches["gpu"] or record.gpu) or None
        if matches["gpu_vram_mib"] is not None:
            record.gpu_vram_mib = matches["gpu_vram_mib"]

    def _mount_docker_config(self) -> None:
        chosen = self.host.env.get("DOCKER_CONFIG")
        folder = os.path.join(self.paths.root, ".docker")
        if chosen and os.path.exists(os.path.join(self.host.cwd, chosen)):
            folder = os.path.join(self.host.cwd, chosen)
        if os.path.exists(folder):
            self.record.mounts = [*self.record.mounts, (folder, "/root/.docker", True)]
        else:
            from fake_smolvm.operations.log import warning

            self.host.err(warning(self.host.env, "Docker config directory not found"))

    def _check_command(self) -> None:
        record = self.record
        if self.detached and (self.interactive or self.terminal):
            self.host.err("warning: -i/-t flags are ignored in detached mode (-d)\n")
        if not (self.command or record.entrypoint or record.cmd) and not (
            self.interactive or self.terminal or self.detached
        ):
            raise CommandError(
                f"{_FAILED}no command specified.\nUse: smolvm machine run -- <command>\n"
                "Or:  smolvm machine run -it"
            )
        if record.image is None and self.command and _looks_like_image(self.command[0]):
            first, *others = self.command
            rest = " ".join([word for word in others if word != "--"])
            raise CommandError(
                f"{_FAILED}'{first}' looks like a container image reference, not a command.\n"
                "To run a container, use --image:\n"
                f"  smolvm machine run --image {first}" + (f" -- {rest}" if rest else "")
            )

    def _make_disks(self) -> None:
        record = self.record
        failed = "agent operation failed: create agent manager: "
        fault = names.fault(record.name)
        if fault is not None:
            raise CommandError(f"{failed}config operation failed: validate machine name: {fault}")
        try:
            resources.Disks(
                self.paths,
                record.name,
                storage_gb=record.storage_gb,
                overlay_gb=record.overlay_gb,
            )
        except CommandError as error:
            raise CommandError(failed + error.message) from None


def _looks_like_image(word: str) -> bool:
    return ":" in word or ("/" in word and not word.startswith(("/", "./", "../")))


def _begin(asked: _Asked) -> lifecycle.Boot:
    try:
        resources.check(asked.record, asked.host.err)
        return lifecycle.begin_boot(asked.paths, asked.record.name, virtual=asked.host.in_process)
    except CommandError as error:
        raise CommandError(f"agent operation failed: start machine: {error.message}") from None


def _prepare(asked: _Asked) -> list[str]:
    """Pull the image and run the init commands; return the command that is to run."""
    host, paths, record = asked.host, asked.paths, asked.record
    command = asked.command or [*record.entrypoint, *record.cmd]
    if record.image is not None:
        try:
            image = pull(host, record.image, network=record.network)
        except CommandError as error:
            if record.network:
                raise
            raise CommandError(
                f"agent operation failed: pull image: {error.message}\n\nHint: networking is "
                "disabled. Add --net to enable image pulls:\n"
                f"  smolvm machine run --net --image {record.image} ..."
            ) from None
        command = command or [*image.entrypoint, *image.cmd]
    for index, script in enumerate(record.init):
        result = guest.run_command(host, paths, record, ["sh", "-c", script])
        if result.exit_code != 0:
            said = result.stderr.decode(errors="replace").strip()
            raise CommandError(
                f"agent operation failed: init: init[{index}] failed "
                f"(exit {result.exit_code}): {said}"
            )
    return command or (_IDLE if asked.detached else _SHELL)


def _run_once(asked: _Asked) -> int:
    host, paths, store, record = asked.host, asked.paths, asked.store, asked.record
    record.ephemeral = True
    try:
        with _begin(asked) as boot:
            process = boot.run()
            record.state = "running"
            record.pid, record.pid_start_time = process.pid, process.start_time
            store.add(record)
            try:
                return _execute(asked, process, _prepare(asked))
            finally:
                lifecycle.end(paths, record.name, process)
                store.remove(record.name)
    finally:
        if host.cancelled is None or not host.cancelled.is_set():
            lifecycle.remove_data(paths, record.name)


def _execute(asked: _Asked, process: Process, command: list[str]) -> int:
    paths, record = asked.paths, asked.record
    env, workdir = guest.defaults(paths, record)
    mode = "interactive" if asked.interactive or asked.terminal else ""
    inside = guest.of(asked.host, paths, record, process)
    container = record.image is not None
    session = Session(asked.host, inside, process, mode=mode, container=container)
    try:
        code = session.run(command, env, workdir, timeout=asked.timeout, terminal=asked.terminal)
    except CommandError as error:
        first = command[0]
        if (
            mode
            or record.image is not None
            or "os error 2)" not in error.message
            or first.startswith(("/", "."))
        ):
            raise
        raise CommandError(
            f"agent operation failed: vm exec: {error.message}\n\nNote: '{first}' was not found in "
            "the VM. If you meant to run a container image, use --image:\n"
            f"  smolvm machine run --image {first} -- <command>"
        ) from None
    return code


def _run_detached(asked: _Asked) -> None:
    host, paths, store, record = asked.host, asked.paths, asked.store, asked.record
    running = lifecycle.agent(paths, record.name)
    if running is not None:
        process = running
        _start(asked, _prepare(asked))
    else:
        with _begin(asked) as boot:
            process = boot.run()
            _start(asked, _prepare(asked))
    _store(store, record)
    lifecycle.set_running(store, record.name, process)
    name = record.name
    option = "" if name == DEFAULT_MACHINE else f" --name {name}"
    who = "Machine" if name == DEFAULT_MACHINE else f"Machine '{name}'"
    how = "running in background" if record.image is not None else f"running (PID: {process.pid})"
    host.out(
        f"{who} {how}\n\nTo interact:\n  smolvm machine exec{option} -- <command>\n"
        f"\nTo stop:\n  smolvm machine stop{option}\n"
    )


def _start(asked: _Asked, command: list[str]) -> None:
    record = asked.record
    if record.image is not None:
        # The record keeps the command of the container, so that `start` starts it again.
        record.entrypoint, record.cmd = [], command
        record.init_completed = True
    elif command == _IDLE:
        return
    guest.start_command(asked.host, asked.paths, record, command)


def _store(store: Store, record: Record) -> None:
    try:
        store.add(record)
    except MachineExistsError:
        row = record.to_row()

        def replace(known: Record) -> None:
            created = known.created_at
            known.__dict__.clear()
            known.__dict__.update(row)
            known.created_at = created

        store.update(record.name, replace)
