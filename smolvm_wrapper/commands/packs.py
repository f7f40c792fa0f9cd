"""Packs: machines in a file; and the configuration, most of which is where packs are kept."""

from __future__ import annotations

from smolvm_wrapper import readers
from smolvm_wrapper.command import settings, switch, value, values
from smolvm_wrapper.commands.subject import Subject, guest_timeout
from smolvm_wrapper.methods import method

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from smolvm_wrapper.command import Command, Env, Stdin, StrPath
    from smolvm_wrapper.durations import Duration, GuestDuration
    from smolvm_wrapper.results import SmolvmRunResult


class PackCommands(Subject):
    """The commands that are about packs, and the configuration."""

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
                *guest_timeout(timeout),
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
