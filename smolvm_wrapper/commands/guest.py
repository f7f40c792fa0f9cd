"""Guests: commands in machines, and files in and out of them."""

from __future__ import annotations

import time

from smolvm_wrapper import readers
from smolvm_wrapper.command import Pause, settings, switch, value, values
from smolvm_wrapper.commands.subject import Subject, guest_timeout
from smolvm_wrapper.durations import as_seconds
from smolvm_wrapper.errors import SmolvmError, UsageError
from smolvm_wrapper.methods import do, method, streaming

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from smolvm_wrapper.command import Command, Env, Stdin, StrPath
    from smolvm_wrapper.durations import Duration, GuestDuration
    from smolvm_wrapper.methods import Plan
    from smolvm_wrapper.results import SmolvmRunResult

READY_POLL_SECONDS = 0.5


class GuestCommands(Subject):
    """The commands that are about what is in a machine."""

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
                *guest_timeout(timeout),
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
            yield from GuestCommands.download(self, src, dst)
        else:
            yield from GuestCommands.upload(self, src, dst)

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
                *guest_timeout(timeout),
                *how,
            ],
            ["--", *command],
            read=self._guest_run(timeout, streamed=bool(how)),
            machine=name,
            env=env,
            stdin=stdin,
            host_timeout=host_timeout,
        )


def _no_option(path: str) -> str:
    return f"./{path}" if path.startswith("-") else path


def _is_guest_path(path: str) -> bool:
    """Whether smolvm would take this for `MACHINE:PATH`."""
    machine, colon, _ = path.partition(":")
    letters = machine.replace("-", "").replace("_", "")
    return bool(colon) and machine[:1].isalnum() and letters.isalnum() and letters.isascii()
