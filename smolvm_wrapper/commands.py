"""Every `machine`, `pack` and `config` command of smolvm 0.8.0, described once. Nothing runs."""

from __future__ import annotations

import time
from contextlib import suppress

from smolvm_wrapper import checks, dialects, readers
from smolvm_wrapper.command import Command, Pause, settings, switch, value, values
from smolvm_wrapper.dialects import Dialect
from smolvm_wrapper.durations import as_seconds, as_text
from smolvm_wrapper.errors import (
    EgressNotEnforcedError,
    EgressNotEnforcedWarning,
    IgnoredOptionWarning,
    MachineNotFoundError,
    SmolvmError,
    UsageError,
    warn,
)
from smolvm_wrapper.methods import Pure, do, handle, method, streaming
from smolvm_wrapper.secrets import Remembered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any, TypeVar

    from smolvm_wrapper.command import Env, Finished, Stdin, StrPath
    from smolvm_wrapper.durations import Duration, GuestDuration
    from smolvm_wrapper.guards import Guards
    from smolvm_wrapper.methods import Plan
    from smolvm_wrapper.results import MachineInfo, SmolvmRunResult

    R = TypeVar("R")

READY_POLL_SECONDS = 0.5
DEFAULT_CPUS = 4
DEFAULT_MEMORY_MIB = 8192


class CommandSet:
    """The commands. The first argument names the machine, wherever the argv has it.

    Durations are seconds, a `timedelta`, or smolvm's own text ("1m 30s"). `timeout` is the guest's,
    kept by smolvm; `host_timeout` is ours, and kills smolvm's process group. Sizes are GiB for
    disks and MiB for memory. A method that is annotated to build a `Command[R]` or `Plan[R]` gives
    a client's caller R, an async client's an awaitable of R.

    Raises:
        UsageError: what was asked can be no command line (before anything runs), or smolvm's parser
            refused it.
        UnsupportedError: this version of smolvm has no such command or option; nothing ran.
        SmolvmNotFoundError: there is no smolvm to run.
        HostTimeoutError: the client's `host_timeout` was over.
        SmolvmError: smolvm failed; `MachineNotFoundError` and the other subclasses say how.
    """

    def __init__(self, guards: Guards) -> None:
        self.guards = guards
        self._remembered = Remembered()

    @property
    def dialect(self) -> Dialect:
        """How this version of smolvm is spoken to."""
        raise NotImplementedError

    # --- machines ---

    @method
    def machine_create(
        self,
        name: str,
        *,
        image: str | None = None,
        from_path: StrPath | None = None,
        cpus: int | None = None,
        mem: int | None = None,
        storage: int | None = None,
        overlay: int | None = None,
        volumes: Iterable[str] = (),
        ports: Iterable[str] = (),
        net: bool = False,
        net_backend: str | None = None,
        allow_cidrs: Iterable[str] = (),
        allow_hosts: Iterable[str] = (),
        outbound_localhost_only: bool = False,
        gpu: bool = False,
        gpu_vram: int | None = None,
        init: Iterable[str] = (),
        env: Env | None = None,
        workdir: str | None = None,
        ssh_agent: bool = False,
        smolfile: StrPath | None = None,
    ) -> Command[None]:
        """Create a machine, without starting it.

        Args:
            name: up to 128 of `A-Za-z0-9_-`, a letter or digit first.
            image: what runs in it; a bare Alpine otherwise.
            from_path: a `.smolmachine` artifact to make it from, instead of an image.
            cpus: how many; 4 by default.
            mem: MiB; 8192 by default.
            storage: GiB of the storage disk.
            overlay: GiB of the overlay disk.
            volumes: "HOST:GUEST" or "HOST:GUEST:ro" folders.
            ports: "HOST:GUEST" ports.
            net: give it a network.
            net_backend: "tsi" or "virtio-net".
            allow_cidrs: the only addresses it may reach; implies `net`.
            allow_hosts: the only hosts it may reach, resolved at start; implies `net`.
            outbound_localhost_only: it may reach only the host; implies `net`.
            gpu: give it a GPU.
            gpu_vram: MiB of GPU memory.
            init: shell commands for its first start.
            env: for its commands; never shown in errors.
            workdir: where its commands run.
            ssh_agent: pass the host's SSH agent on.
            smolfile: a TOML file with defaults for all this.

        Raises:
            MachineExistsError: the name is taken.
            EgressNotEnforcedError: `from_path` together with an egress list, which this version
                would drop (guard `egress_dropped`).
        """
        self._remember(name, env)
        restricted = bool(allow_cidrs or allow_hosts or outbound_localhost_only)
        if from_path is None:
            self._warn_of_unenforced(restricted)
        else:
            self._refuse_dropped(restricted, name)
            self._warn_of_ignored(cpus=cpus, mem=mem, workdir=workdir, gpu=gpu)
        return self._command(
            "machine create",
            [
                *value("--image", image),
                *value("--from", from_path),
                *value("--smolfile", smolfile),
                *value("--cpus", cpus),
                *value("--mem", mem),
                *value("--storage", storage),
                *value("--overlay", overlay),
                *values("-v", volumes),
                *values("-p", ports),
                *switch("--net", net or bool(allow_cidrs)),
                *value("--net-backend", net_backend),
                *values("--allow-cidr", allow_cidrs),
                *values("--allow-host", allow_hosts),
                *switch("--outbound-localhost-only", outbound_localhost_only),
                *switch("--gpu", gpu),
                *value("--gpu-vram", gpu_vram),
                *values("--init", init),
                *settings(env),
                *value("-w", workdir),
                *switch("--ssh-agent", ssh_agent),
                *self._name_as_this_version_wants_it(name),
            ],
            read=readers.nothing,
            machine=name,
            must_finish=True,
        )

    machine = handle(
        machine_create,
        """Return a handle on a machine, which may or may not be there; nothing runs.

        The arguments are those of `machine_create`, for where the handle is used as a context
        manager and has to create it. With any but the name given, the machine must not be there
        yet.

        Raises:
            UsageError: one of them is not what is wanted.
        """,
    )

    @method
    def machine_start(self, name: str) -> Command[bool]:
        """Start a machine; commands can run in it as soon as this returns.

        Killed half-way, smolvm would leave a VM that nobody knows of (H16): an interrupted caller
        waits for its end.

        Returns:
            Whether this started it; False if it was running already.

        Raises:
            MachineNotFoundError: no such machine.
            HypervisorUnavailableError: no KVM.
        """
        return self._command(
            "machine start",
            self._named(name),
            read=readers.newly_started,
            machine=name,
            must_finish=True,
        )

    @method
    def machine_stop(self, name: str) -> Command[None]:
        """Stop a machine; one that does not run is left as it is.

        Raises:
            MachineNotFoundError: no such machine (up to 0.8.0 by guard `unknown_stop`).
        """
        return self._stop(name)

    @method
    def machine_delete(self, name: str) -> Plan[None]:
        """Delete a machine and its disks, unasked. It is stopped first (`stop_before_delete`).

        Raises:
            MachineNotFoundError: no such machine.
        """
        if self.guards.stop_before_delete and self.dialect.has(dialects.DELETE_MAY_LEAVE_A_PROCESS):
            with suppress(MachineNotFoundError):  # delete says so as well
                yield from do(self._stop(name))
        yield from self._delete(name)

    @method
    def machine_status(self, name: str) -> Command[MachineInfo]:
        """Describe a machine (from 0.8.0).

        Raises:
            MachineNotFoundError: no such machine.
        """
        return self._command("machine status", [*self._named(name), "--json"], read=readers.machine)

    @method
    def machine_ls(self) -> Command[list[MachineInfo]]:
        """Describe all machines, in no particular order (H13).

        Raises:
            SmolvmError: smolvm failed, or printed no JSON.
        """
        return self._command("machine ls", ["--json"], read=readers.machines)

    @method
    def machine_update(
        self,
        name: str,
        *,
        volumes: Iterable[str] = (),
        remove_volumes: Iterable[str] = (),
        ports: Iterable[str] = (),
        remove_ports: Iterable[str] = (),
        cpus: int | None = None,
        mem: int | None = None,
        net: bool | None = None,
        env: Env | None = None,
        remove_env: Iterable[str] = (),
        workdir: str | None = None,
        gpu: bool | None = None,
        storage: int | None = None,
        overlay: int | None = None,
    ) -> Command[None]:
        """Change a stopped machine. The arguments are those of `machine_create`; disks only grow.

        Args:
            name: which machine.
            volumes: to add.
            remove_volumes: "HOST:GUEST", to take away.
            ports: to add.
            remove_ports: "HOST:GUEST", to take away.
            cpus: how many.
            mem: MiB.
            net: on or off.
            env: to set.
            remove_env: keys to take away.
            workdir: where its commands run.
            gpu: on or off.
            storage: GiB.
            overlay: GiB.

        Raises:
            MachineNotFoundError: no such machine.
            MachineRunningError: it is running.
        """
        self._remember(name, env)
        return self._command(
            "machine update",
            [
                *values("-v", volumes),
                *values("--remove-volume", remove_volumes),
                *values("-p", ports),
                *values("--remove-port", remove_ports),
                *value("--cpus", cpus),
                *value("--mem", mem),
                *switch("--net", net),
                *switch("--no-net", net is False),
                *settings(env),
                *values("--remove-env", remove_env),
                *value("-w", workdir),
                *switch("--gpu", gpu),
                *switch("--no-gpu", gpu is False),
                *value("--storage", storage),
                *value("--overlay", overlay),
                *self._name_as_this_version_wants_it(name),
            ],
            read=readers.nothing,
            machine=name,
        )

    @method
    def machine_resize(
        self, name: str, *, storage: int | None = None, overlay: int | None = None
    ) -> Command[None]:
        """Grow the disks of a stopped machine to so many GiB (hidden; so can `machine_update`).

        Raises:
            MachineNotFoundError: no such machine.
            MachineRunningError: it is running.
            UnsupportedError: from 1.19 on, where it came to mean something else.
        """
        return self._command(
            "machine resize",
            [*self._named(name), *value("--storage", storage), *value("--overlay", overlay)],
            read=readers.nothing,
        )

    @method
    def machine_images(self, name: str) -> Command[dict[str, Any]]:
        """The OCI images in a machine: {"images": […], "storage": {"total_bytes": …, …}}.

        A stopped machine is booted for it, and stopped again (0.8.0, vm.jsonl).

        Raises:
            MachineNotFoundError: no such machine.
        """
        return self._command(
            "machine images", [*self._named(name), "--json"], read=readers.document
        )

    @method
    def machine_prune(
        self, name: str, *, dry_run: bool = False, everything: bool = False
    ) -> Command[str]:
        """Remove unused image layers from a machine; what was done, in smolvm's words.

        Args:
            name: which machine. A stopped one is booted for it, and stopped again.
            dry_run: only say what would go.
            everything: `--all`, the images too; the machine must be stopped.

        Raises:
            MachineNotFoundError: no such machine.
            MachineRunningError: `everything`, and it is running.
        """
        return self._command(
            "machine prune",
            [
                *self._named(name),
                *switch("--dry-run", dry_run),
                *switch("--all", everything),
            ],
            read=readers.text,
        )

    @method
    def machine_monitor(
        self,
        name: str,
        *,
        restart: str | None = None,
        health_cmd: str | None = None,
        health_timeout: int | None = None,
        interval: int | None = None,
        health_retries: int | None = None,
        host_timeout: Duration | None = None,
    ) -> Command[str]:
        """Watch over a machine, in the foreground, until it ends and is not to be restarted.

        Args:
            name: which machine; a stopped one is started.
            restart: "never", "always", "on-failure" or "unless-stopped".
            health_cmd: a shell command that tells whether it is well.
            health_timeout: seconds it may take; 5 by default.
            interval: seconds between two checks; 5 by default.
            health_retries: failures before a restart; 3 by default.
            host_timeout: how long to watch at most.

        Returns:
            What it said.

        Raises:
            MachineNotFoundError: no such machine.
            HostTimeoutError: the time was over; `stdout` is what it had said.
        """
        return self._command(
            "machine monitor",
            [
                *self._named(name),
                *value("--restart", restart),
                *value("--health-cmd", health_cmd),
                *value("--health-timeout", health_timeout),
                *value("--interval", interval),
                *value("--health-retries", health_retries),
            ],
            read=readers.text,
            machine=name,
            host_timeout=host_timeout,
        )

    @method
    def machine_network_test(self, name: str, url: str | None = None) -> Command[str]:
        """Try the network from inside a machine (hidden); what came of it, in smolvm's words.

        Args:
            name: which machine.
            url: what to fetch; `http://1.1.1.1` by default.

        Raises:
            MachineNotFoundError: no such machine.
            MachineNotRunningError: it is not running.
        """
        return self._command(
            "machine network-test",
            self._named(name),
            [] if url is None else [url],
            read=readers.text,
        )

    @method
    def machine_data_dir(self, name: str) -> Command[str]:
        """The host folder for a machine's disks, whether or not there is such a machine (0.8.0).

        Raises:
            SmolvmError: smolvm failed.
        """
        return self._command(
            "machine data-dir", self._name_as_this_version_wants_it(name), read=readers.line
        )

    @method
    def machine_shell(self, name: str) -> Command[int]:
        """A shell in a running machine, on this process's own terminal; its exit code.

        Raises:
            SmolvmNotFoundError: there is no smolvm to run.
        """
        return self._command(
            "machine shell",
            self._named(name),
            read=readers.terminal_session,
            machine=name,
            on_terminal=True,
        )

    # --- commands in machines ---

    @method
    def machine_exec(
        self,
        name: str,
        command: Sequence[str],
        *,
        env: Env | None = None,
        workdir: str | None = None,
        timeout: GuestDuration | None = None,
        stdin: Stdin | None = None,
        tty: bool = False,
        host_timeout: Duration | None = None,
    ) -> Command[SmolvmRunResult]:
        """Run a command in a running machine, and have its output when it has ended.

        Args:
            name: which machine.
            command: the program and its arguments.
            env: for this command; never shown in errors.
            workdir: where it runs; the machine's own otherwise, or `/`.
            timeout: after which smolvm kills it (exit code 124, its output so far is kept).
            stdin: bytes, a binary file or an iterator of bytes. Nothing otherwise.
            tty: give it a terminal: stderr joins stdout, line ends become CR LF.
            host_timeout: after which smolvm itself is killed.

        Returns:
            The result, whatever the exit code, and even if smolvm itself failed: `speaker` says who
            spoke, and `check()` raises what there is to raise.

        Raises:
            UsageError: an argument is not what is wanted.
            SmolvmNotFoundError: there is no smolvm to run.
            HostTimeoutError: the `host_timeout` was over.
            OutputLimitError: there was more than 64 MiB of output.
        """
        return self._exec(
            name,
            command,
            switch("-i", stdin is not None) + switch("-t", tty),
            env=env,
            workdir=workdir,
            timeout=timeout,
            stdin=stdin,
            host_timeout=host_timeout,
        )

    @streaming
    def stream(
        self,
        name: str,
        command: Sequence[str],
        *,
        env: Env | None = None,
        workdir: str | None = None,
        timeout: GuestDuration | None = None,
        stdin: Stdin | None = None,
        tty: bool = False,
        host_timeout: Duration | None = None,
    ) -> Command[SmolvmRunResult]:
        """Run a command in a running machine, and have its output as it comes.

        The arguments are those of `machine_exec`. Nothing runs before the first item is asked for.

        Returns:
            An iterator of ("stdout" or "stderr", bytes); at its end it has a `result`. If smolvm
            itself fails, the end is that error. Closed early, or as a context manager left early,
            it kills smolvm.

        Raises:
            UsageError: an argument is not what is wanted (at once).
            MachineNotRunningError: it is not running; like all that follows, while iterating.
            HostTimeoutError: the `host_timeout` was over.
            SmolvmError: smolvm failed.
        """
        # `--stream` with a pipe on stdin can hang (H11); `-i` passes output on as it comes, too.
        how = ["--stream"] if stdin is None and not tty else ["-i"]
        return self._exec(
            name,
            command,
            how + switch("-t", tty),
            env=env,
            workdir=workdir,
            timeout=timeout,
            stdin=stdin,
            host_timeout=host_timeout,
        )

    @method
    def machine_run(
        self,
        command: Sequence[str] = (),
        *,
        image: str | None = None,
        name: str | None = None,
        detach: bool = False,
        env: Env | None = None,
        workdir: str | None = None,
        timeout: GuestDuration | None = None,
        stdin: Stdin | None = None,
        tty: bool = False,
        oci_platform: str | None = None,
        cpus: int | None = None,
        mem: int | None = None,
        storage: int | None = None,
        overlay: int | None = None,
        volumes: Iterable[str] = (),
        ports: Iterable[str] = (),
        net: bool = False,
        net_backend: str | None = None,
        allow_cidrs: Iterable[str] = (),
        allow_hosts: Iterable[str] = (),
        outbound_localhost_only: bool = False,
        gpu: bool = False,
        gpu_vram: int | None = None,
        smolfile: StrPath | None = None,
        ssh_agent: bool = False,
        docker_config: bool = False,
        host_timeout: Duration | None = None,
    ) -> Command[SmolvmRunResult]:
        """Run a command in a machine of its own, which is gone afterwards.

        The arguments are those of `machine_create` and `machine_exec`, and:

        Args:
            command: the program and its arguments; the image's own otherwise.
            image: what runs in it; a bare Alpine otherwise.
            name: of the machine that `detach` leaves behind.
            detach: start it and leave it running.
            env: for the command; never shown in errors.
            workdir: where it runs.
            timeout: after which smolvm kills the command.
            stdin: bytes, a binary file or an iterator of bytes. Nothing otherwise.
            tty: give it a terminal.
            oci_platform: "OS/ARCH" of the image.
            cpus: how many; 4 by default.
            mem: MiB; 8192 by default.
            storage: GiB.
            overlay: GiB.
            volumes: "HOST:GUEST" or "HOST:GUEST:ro" folders.
            ports: "HOST:GUEST" ports.
            net: give it a network.
            net_backend: "tsi" or "virtio-net".
            allow_cidrs: the only addresses it may reach; implies `net`.
            allow_hosts: the only hosts it may reach; implies `net`.
            outbound_localhost_only: it may reach only the host; implies `net`.
            gpu: give it a GPU.
            gpu_vram: MiB of GPU memory.
            smolfile: a TOML file with defaults for all this.
            ssh_agent: pass the host's SSH agent on.
            docker_config: pass `~/.docker` on, for registry logins.
            host_timeout: after which smolvm itself is killed.

        Returns:
            The result, as of `machine_exec`.

        Raises:
            UsageError: an argument is not what is wanted.
            SmolvmNotFoundError: there is no smolvm to run.
            HostTimeoutError: the `host_timeout` was over.
            OutputLimitError: there was more than 64 MiB of output.
        """
        if detach != (name is not None):
            raise UsageError("`detach`, and only it, wants a name for the machine to leave behind")
        if name is not None:
            self._remember(name, env)
        self._warn_of_unenforced(bool(allow_cidrs or allow_hosts or outbound_localhost_only))
        return self._command(
            "machine run",
            [
                *value("--image", image),
                *([] if name is None else self._named(name)),
                *switch("-d", detach),
                *switch("-i", stdin is not None),
                *switch("-t", tty),
                *_guest_timeout(timeout),
                *value("-w", workdir),
                *settings(env),
                *value("--oci-platform", oci_platform),
                *values("-v", volumes),
                *values("-p", ports),
                *switch("--net", net or bool(allow_cidrs)),
                *value("--net-backend", net_backend),
                *values("--allow-cidr", allow_cidrs),
                *values("--allow-host", allow_hosts),
                *switch("--outbound-localhost-only", outbound_localhost_only),
                *switch("--gpu", gpu),
                *value("--gpu-vram", gpu_vram),
                *value("--cpus", cpus),
                *value("--mem", mem),
                *value("--storage", storage),
                *value("--overlay", overlay),
                *value("--smolfile", smolfile),
                *switch("--ssh-agent", ssh_agent),
                *switch("--docker-config", docker_config),
            ],
            ["--", *command] if command else (),
            read=self._guest_run(timeout, streamed=stdin is not None or tty),
            env=env,
            stdin=stdin,
            host_timeout=host_timeout,
        )

    @method
    def wait_exec_ready(self, name: str, *, timeout: Duration = 60) -> Plan[None]:
        """Wait until `true` runs in a machine. Needed only where somebody else starts it.

        Raises:
            SmolvmError: it was not ready in time.
        """
        seconds = as_seconds(timeout)
        deadline = time.monotonic() + seconds
        while (yield from do(self._exec(name, ["true"]))).returncode != 0:
            if time.monotonic() >= deadline:
                raise SmolvmError(f"machine {name!r} was not ready after {seconds:g} s")
            yield Pause(READY_POLL_SECONDS)

    # --- files ---

    @method
    def machine_cp(self, src: str, dst: str) -> Plan[None]:
        """Copy one regular file, up (`./file`, `vm:/file`) or down (`vm:/file`, `./file`).

        Nothing happens if either is "". Mode, owner and times are not kept. A download that fails
        leaves the file that was there (guard `safe_downloads`; smolvm itself destroys it).

        Raises:
            MachineNotFoundError: no such machine.
            MachineNotRunningError: it is not running.
            UsageError: both may be host paths and both may be guest paths; write `./` before the
                host's (guard `colon_paths`).
        """
        if not src or not dst:
            return
        src_is_guest = _is_guest_path(src)
        if self.guards.colon_paths and src_is_guest and _is_guest_path(dst):
            raise UsageError(
                f"is {src!r} or {dst!r} the host's file? Write './' before it (smolvm would take"
                " the first for a guest path)"
            )
        if src_is_guest:
            yield from CommandSet.download(self, src, dst)
        else:
            yield from CommandSet.upload(self, src, dst)

    @method
    def upload(self, path: StrPath, target: str) -> Plan[None]:
        """Copy a regular file of the host into a machine; parents are made.

        Args:
            path: of the host's file, whatever it looks like.
            target: "MACHINE:PATH".

        Raises:
            MachineNotFoundError: no such machine.
            MachineNotRunningError: it is not running.
        """
        from smolvm_wrapper.copying import without_colon

        source = _no_option(str(path))
        if not self.guards.colon_paths:
            yield from do(self._cp(source, target))
            return
        with without_colon(source) as safe:
            yield from do(self._cp(safe, target))

    @method
    def download(self, source: str, path: StrPath) -> Plan[None]:
        """Copy a regular file of a machine to the host; if that fails, what was there stays.

        Args:
            source: "MACHINE:PATH".
            path: of the host's file, whatever it looks like.

        Raises:
            MachineNotFoundError: no such machine.
            MachineNotRunningError: it is not running.
        """
        from smolvm_wrapper.copying import replaced_on_success

        target = _no_option(str(path))
        if not self.guards.safe_downloads:
            yield from do(self._cp(source, target))
            return
        with replaced_on_success(target) as new:
            yield from do(self._cp(source, new))

    def _cp(self, src: str, dst: str) -> Command[None]:
        return self._command("machine cp", [], [src, dst], read=readers.nothing)

    # --- packs ---

    @method
    def pack_create(
        self,
        image: str | None,
        output: StrPath,
        *,
        from_vm: str | None = None,
        cpus: int | None = None,
        mem: int | None = None,
        oci_platform: str | None = None,
        entrypoint: str | None = None,
        no_sign: bool = False,
        single_file: bool = False,
        smolfile: StrPath | None = None,
        gpu: bool = False,
        stub: StrPath | None = None,
        lib_dir: StrPath | None = None,
        rootfs_dir: StrPath | None = None,
    ) -> Command[None]:
        """Pack an image, a stopped machine or a Smolfile into `output` and `output.smolmachine`.

        Args:
            image: which image; None with `from_vm` or `smolfile`.
            output: where to.
            from_vm: the stopped machine to pack. Made from a bare one it can be run, but
                `machine_create` of it never starts (H18).
            cpus: how many by default.
            mem: MiB by default.
            oci_platform: "OS/ARCH" of the image.
            entrypoint: the command it runs.
            no_sign: do not sign it (macOS).
            single_file: one executable file.
            smolfile: a TOML file with defaults for all this.
            gpu: it wants a GPU.
            stub: hidden; the executable to build on.
            lib_dir: hidden; where the runtime libraries are.
            rootfs_dir: hidden; where the agent's root file system is.

        Raises:
            MachineNotFoundError: no machine `from_vm`.
            MachineRunningError: `from_vm` is running.
        """
        return self._command(
            "pack create",
            [
                *value("--image", image),
                *value("--from-vm", from_vm),
                *value("-o", output),
                *value("--cpus", cpus),
                *value("--mem", mem),
                *value("--oci-platform", oci_platform),
                *value("--entrypoint", entrypoint),
                *switch("--no-sign", no_sign),
                *switch("--single-file", single_file),
                *value("--stub", stub),
                *value("--lib-dir", lib_dir),
                *value("--rootfs-dir", rootfs_dir),
                *value("--smolfile", smolfile),
                *switch("--gpu", gpu),
            ],
            read=readers.nothing,
        )

    @method
    def pack_run(
        self,
        command: Sequence[str] = (),
        *,
        sidecar: StrPath | None = None,
        env: Env | None = None,
        workdir: str | None = None,
        timeout: GuestDuration | None = None,
        stdin: Stdin | None = None,
        tty: bool = False,
        volumes: Iterable[str] = (),
        ports: Iterable[str] = (),
        net: bool = False,
        net_backend: str | None = None,
        cpus: int | None = None,
        mem: int | None = None,
        storage: int | None = None,
        overlay: int | None = None,
        force_extract: bool = False,
        info: bool = False,
        debug: bool = False,
        host_timeout: Duration | None = None,
    ) -> Command[SmolvmRunResult]:
        """Run a command in a machine made from a pack, which is gone afterwards.

        Args:
            command: the program and its arguments; the pack's own otherwise.
            sidecar: the `.smolmachine` file.
            env: for the command; never shown in errors.
            workdir: where it runs.
            timeout: after which smolvm kills the command.
            stdin: bytes, a binary file or an iterator of bytes. Nothing otherwise.
            tty: give it a terminal.
            volumes: "HOST:GUEST" or "HOST:GUEST:ro" folders.
            ports: "HOST:GUEST" ports.
            net: give it a network.
            net_backend: "tsi" or "virtio-net".
            cpus: how many; the pack's own otherwise.
            mem: MiB; the pack's own otherwise.
            storage: GiB.
            overlay: GiB.
            force_extract: extract it again.
            info: only describe the pack.
            debug: say more.
            host_timeout: after which smolvm itself is killed.

        Returns:
            The result, as of `machine_exec`.

        Raises:
            UsageError: an argument is not what is wanted.
            SmolvmNotFoundError: there is no smolvm to run.
            HostTimeoutError: the `host_timeout` was over.
            OutputLimitError: there was more than 64 MiB of output.
        """
        return self._command(
            "pack run",
            [
                *value("--sidecar", sidecar),
                *switch("-i", stdin is not None),
                *switch("-t", tty),
                *_guest_timeout(timeout),
                *value("-w", workdir),
                *settings(env),
                *values("-v", volumes),
                *values("-p", ports),
                *switch("--net", net),
                *value("--net-backend", net_backend),
                *value("--cpus", cpus),
                *value("--mem", mem),
                *value("--storage", storage),
                *value("--overlay", overlay),
                *switch("--force-extract", force_extract),
                *switch("--info", info),
                *switch("--debug", debug),
            ],
            ["--", *command] if command else (),
            read=self._guest_run(timeout, streamed=stdin is not None or tty),
            env=env,
            stdin=stdin,
            host_timeout=host_timeout,
        )

    @method
    def pack_push(self, reference: str, file: StrPath) -> Command[str]:
        """Push a pack to a registry; what was done, in smolvm's words.

        Args:
            reference: "[REGISTRY/]NAME[:TAG]".
            file: the `.smolmachine` file.

        Raises:
            SmolvmError: smolvm or the registry failed.
        """
        return self._command("pack push", value("-f", file), [reference], read=readers.text)

    @method
    def pack_pull(self, reference: str, output: StrPath | None = None) -> Command[str]:
        """Pull a pack from a registry; what was done, in smolvm's words.

        Args:
            reference: "[REGISTRY/]NAME[:TAG]" or "…@sha256:DIGEST".
            output: where to; smolvm's cache otherwise.

        Raises:
            SmolvmError: smolvm or the registry failed.
        """
        return self._command("pack pull", value("-o", output), [reference], read=readers.text)

    @method
    def pack_inspect(self, reference: str) -> Command[Any]:
        """Describe a pack in a registry (a file will not do), as the JSON smolvm prints.

        Raises:
            SmolvmError: smolvm or the registry failed, or it printed no JSON.
        """
        return self._command("pack inspect", ["--json"], [reference], read=readers.document)

    @method
    def pack_prune(
        self, *, keep: int | None = None, everything: bool = False, dry_run: bool = False
    ) -> Command[str]:
        """Remove extracted packs from the cache; what was done, in smolvm's words.

        Args:
            keep: how many of the newest stay; 5 by default.
            everything: `--all`.
            dry_run: only say what would go.

        Raises:
            SmolvmError: smolvm failed.
        """
        return self._command(
            "pack prune",
            [
                *value("--keep", keep),
                *switch("--all", everything),
                *switch("--dry-run", dry_run),
            ],
            read=readers.text,
        )

    # --- configuration ---

    @method
    def config_show(self) -> Command[str]:
        """The configuration, in smolvm's words.

        Raises:
            SmolvmError: smolvm failed.
        """
        return self._command("config show", read=readers.text)

    @method
    def config_registries_path(self) -> Command[str]:
        """Where the file with the registries is, or would be.

        Raises:
            SmolvmError: smolvm failed.
        """
        return self._command("config registries path", read=readers.line)

    @method
    def config_registries_show(self) -> Command[str]:
        """The registries, in smolvm's words.

        Raises:
            SmolvmError: smolvm failed.
        """
        return self._command("config registries show", read=readers.text)

    @method
    def config_registries_init(self) -> Command[str]:
        """Write a first file of registries; what was done, in smolvm's words.

        Raises:
            SmolvmError: smolvm failed.
        """
        return self._command("config registries init", read=readers.text)

    @method
    def config_registries_edit(self) -> Command[int]:
        """The file of registries in `$EDITOR`, on this process's own terminal; its exit code.

        Raises:
            SmolvmNotFoundError: there is no smolvm to run.
        """
        return self._command(
            "config registries edit", read=readers.terminal_session, on_terminal=True
        )

    # --- parts ---

    def _command(
        self,
        path: str,
        options: Sequence[str] = (),
        operands: Sequence[str] = (),
        *,
        read: Callable[[Finished], R],
        machine: str | None = None,
        env: Env | None = None,
        stdin: Stdin | None = None,
        must_finish: bool = False,
        on_terminal: bool = False,
        host_timeout: Duration | None = None,
    ) -> Command[R]:
        dialect = self.dialect
        long_options = (option.partition("=")[0] for option in options if option.startswith("--"))
        for feature in (
            path.split(maxsplit=1)[0],
            path,
            *(f"{path} {option}" for option in long_options),
        ):
            dialect.require(feature)
        errors = ["--error-format", "json"] if dialect.has(dialects.JSON_ERRORS) else []
        argv = ("smolvm", *errors, *path.split(), *options, *operands)
        return Command(
            argv,
            read,
            stdin=stdin,
            secrets=[*(env or {}).values(), *self._remembered.of(machine)],
            must_finish=must_finish,
            on_terminal=on_terminal,
            host_timeout=None if host_timeout is None else as_seconds(host_timeout),
        )

    def _remember(self, machine: str, env: Env | None) -> None:
        """Keep in mind what no later error about a machine may show either."""
        self._remembered.add(machine, (env or {}).values())

    def _stop(self, name: str) -> Command[None]:
        read = readers.stopped if self.guards.unknown_stop else readers.nothing
        return self._command("machine stop", self._named(name), read=read, must_finish=True)

    def _delete(self, name: str) -> Plan[None]:
        yield from do(
            self._command(
                "machine delete",
                ["-f", *self._name_as_this_version_wants_it(name)],
                read=readers.nothing,
                must_finish=True,
            )
        )
        self._remembered.forget(name)

    def _exec(
        self,
        name: str,
        command: Sequence[str],
        how: Sequence[str] = (),
        *,
        env: Env | None = None,
        workdir: str | None = None,
        timeout: GuestDuration | None = None,
        stdin: Stdin | None = None,
        host_timeout: Duration | None = None,
    ) -> Command[SmolvmRunResult]:
        return self._command(
            "machine exec",
            [
                *self._named(name),
                *settings(env),
                *value("-w", workdir),
                *_guest_timeout(timeout),
                *how,
            ],
            ["--", *command],
            read=self._guest_run(timeout, streamed=bool(how)),
            machine=name,
            env=env,
            stdin=stdin,
            host_timeout=host_timeout,
        )

    def _guest_run(
        self, timeout: GuestDuration | None, *, streamed: bool
    ) -> Callable[[Finished], SmolvmRunResult]:
        return readers.guest_run(
            timed=timeout is not None,
            streamed=streamed,
            signal_is_255=self.dialect.has(dialects.SIGNAL_IS_255),
        )

    def _named(self, name: str) -> list[str]:
        return ["--name", name]

    def _name_as_this_version_wants_it(self, name: str) -> list[str]:
        if self.dialect.has(dialects.NAME_IS_AN_OPTION):
            return self._named(name)
        return [name]

    def _refuse_dropped(self, restricted: bool, name: str) -> None:
        if (
            restricted
            and self.guards.egress_dropped
            and self.dialect.has(dialects.FROM_DROPS_EGRESS)
        ):
            raise EgressNotEnforcedError(
                f"smolvm {self.dialect.version} drops the egress list of a machine made from an"
                f" artifact: the network of {name!r} would be open (fixed in"
                f" {dialects.FROM_DROPS_EGRESS.last})"
            )

    def _warn_of_unenforced(self, restricted: bool) -> None:
        if (
            restricted
            and self.guards.egress_unenforced
            and self.dialect.has(dialects.EGRESS_NOT_ENFORCED)
        ):
            warn(
                EgressNotEnforcedWarning,
                f"smolvm {self.dialect.version} records the egress list, but by its authors' own"
                f" finding does not enforce it (fixed in {dialects.EGRESS_NOT_ENFORCED.last})",
            )

    def _warn_of_ignored(
        self, *, cpus: int | None, mem: int | None, workdir: str | None, gpu: bool
    ) -> None:
        if not self.guards.ignored_options:
            return
        ignored: list[str] = []
        if self.dialect.has(dialects.FROM_DISREGARDS_DEFAULTS):
            ignored += ["cpus=4"] if cpus == DEFAULT_CPUS else []
            ignored += ["mem=8192"] if mem == DEFAULT_MEMORY_MIB else []
        if self.dialect.has(dialects.FROM_IGNORES_WORKDIR_AND_GPU):
            ignored += ["workdir"] if workdir is not None else []
            ignored += ["gpu"] if gpu else []
        for option in ignored:
            warn(
                IgnoredOptionWarning,
                f"smolvm {self.dialect.version} disregards {option} for a machine made from an"
                " artifact: the artifact's own value wins",
            )


class CommandBuilder(CommandSet, Pure):
    """Builds commands and runs none: `CommandBuilder("1.4.0").machine_start("vm").argv`."""

    def __init__(self, version: str, guards: Guards | None = None) -> None:
        super().__init__(checks.guards_or_all(guards))
        self._dialect = Dialect(checks.version(version))

    @property
    def dialect(self) -> Dialect:
        """How this version of smolvm is spoken to."""
        return self._dialect


def _no_option(path: str) -> str:
    return f"./{path}" if path.startswith("-") else path


def _is_guest_path(path: str) -> bool:
    """Whether smolvm would take this for `MACHINE:PATH`."""
    machine, colon, _ = path.partition(":")
    letters = machine.replace("-", "").replace("_", "")
    return bool(colon) and machine[:1].isalnum() and letters.isalnum() and letters.isascii()


def _guest_timeout(timeout: GuestDuration | None) -> list[str]:
    return [] if timeout is None else value("--timeout", as_text(timeout))
