"""Machines: what makes, describes, changes and removes them."""

from __future__ import annotations

from contextlib import suppress

from smolvm_wrapper import dialects, readers
from smolvm_wrapper.command import settings, switch, value, values
from smolvm_wrapper.commands.subject import Subject
from smolvm_wrapper.errors import MachineNotFoundError
from smolvm_wrapper.methods import do, handle, method

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from smolvm_wrapper.command import Command, Env, StrPath
    from smolvm_wrapper.durations import Duration
    from smolvm_wrapper.methods import Plan
    from smolvm_wrapper.results import MachineInfo


class MachineCommands(Subject):
    """The commands that are about machines."""

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
    def machine_data_dir(self, name: str) -> Command[str]:
        """The host folder for a machine's disks, whether or not there is such a machine (0.8.0).

        Raises:
            SmolvmError: smolvm failed.
        """
        return self._command(
            "machine data-dir", self._name_as_this_version_wants_it(name), read=readers.line
        )

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
