"""`smolvm pack create`."""

from __future__ import annotations

import os
import time
import zlib

from fake_smolvm.artifacts.format import FOOTER_SIZE, sidecar_of, write_artifact
from fake_smolvm.artifacts.manifest import LAYERS, OVERLAY, Manifest, guest_platform, host_platform
from fake_smolvm.artifacts.program import RealSizes, launcher, with_libs
from fake_smolvm.artifacts.tar import make_tar
from fake_smolvm.errors import CommandError, os_error_text
from fake_smolvm.guest import images
from fake_smolvm.machines import lifecycle, resources
from fake_smolvm.machines.agent import end
from fake_smolvm.machines.boot import begin_boot, has_hypervisor
from fake_smolvm.machines.paths import Paths
from fake_smolvm.machines.record import DEFAULT_CPUS, DEFAULT_MEMORY_MIB
from fake_smolvm.machines.store import Store
from fake_smolvm.operations.connection import pull
from fake_smolvm.rust.std import WHITE_SPACE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fake_smolvm.clap.outcome import Matches
    from fake_smolvm.host import Host
    from fake_smolvm.machines.record import Record

_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_SHELL = "/bin/sh"


def run(matches: Matches, host: Host) -> int:
    """Write a program, and beside it (or in it) the artifact, of an image or a stopped machine."""
    if matches["from_vm"] is not None:
        _pack_machine(matches, host)
    else:
        _pack_image(matches, host)
    return 0


class _Wanted:
    """What the command line and the Smolfile want the packed machine to be."""

    __slots__ = (
        "cmd",
        "cpus",
        "entrypoint",
        "env",
        "gpu",
        "image",
        "mem",
        "network",
        "platform",
        "workdir",
    )

    def __init__(self, matches: Matches, host: Host) -> None:
        data: dict[str, Any] = {}
        artifact: dict[str, Any] = {}
        network: dict[str, Any] = {}
        if matches["smolfile"] is not None:
            from fake_smolvm.machines import smolfile

            file = smolfile.load(matches["smolfile"], host.cwd)
            data = file.data
            artifact = file.sections["artifact" if "artifact" in data else "pack"]
            network = file.sections["network"]
        self.image: str | None = matches["image"]
        if self.image is None:
            self.image = data.get("image")
        if matches["entrypoint"] is not None:
            self.entrypoint = [matches["entrypoint"]]
        else:
            self.entrypoint = artifact.get("entrypoint") or data.get("entrypoint", [])
        self.cmd: list[str] = artifact.get("cmd") or data.get("cmd", [])
        self.env: list[str] = [entry.strip(WHITE_SPACE) for entry in data.get("env", [])]
        self.workdir: str | None = data.get("workdir")
        # What the command line says by default cannot be told from what it says.
        self.cpus: int = matches["cpus"]
        if self.cpus == DEFAULT_CPUS:
            self.cpus = artifact.get("cpus", data.get("cpus", self.cpus))
        self.mem: int = matches["mem"]
        if self.mem == DEFAULT_MEMORY_MIB:
            self.mem = artifact.get("memory", data.get("memory", self.mem))
        self.platform: str | None = matches["oci_platform"] or artifact.get("oci_platform")
        self.gpu: bool = matches["gpu"] or data.get("gpu", False)
        self.network: bool | None = data.get("net")
        if network.get("allow_hosts") or network.get("allow_cidrs"):
            self.network = True

    def apply_to(self, fields: dict[str, Any]) -> None:
        """Override the fields of a manifest."""
        fields.update(cpus=self.cpus, mem=self.mem)
        for entry in self.env:
            key, has_value, _ = entry.partition("=")
            if has_value:
                fields["env"] = [old for old in fields["env"] if not old.startswith(f"{key}=")]
            fields["env"].append(entry)
        wanted = {"workdir": self.workdir, "entrypoint": self.entrypoint, "cmd": self.cmd}
        fields.update({name: value for name, value in wanted.items() if value})


def _pack_image(matches: Matches, host: Host) -> None:
    wanted = _Wanted(matches, host)
    if wanted.image is None:
        raise CommandError(
            "config operation failed: pack create: no image specified."
            " Provide IMAGE argument or set 'image' in Smolfile"
        )
    host.out("Starting agent VM...\n")
    _boot(host, "pack")
    image = pull(host, wanted.image, network=True)
    host.out(f"Image: {image.reference} ({image.layers} layers, {image.size} bytes)\n")
    _collect_base(host, matches)
    layers = image.layer_digests()
    if image.layers == 1:
        _export_layer(host, layers[0], 1, 1, image.size)
    else:
        host.out(f"Merging {image.layers} layers in VM (one-time cost)...\n")
        host.out(f"  Exporting merged layer... {image.size >> 20} MB done\n")
        layers = [images.digest_of(f"merged-{image.digest}")]
    fields = _fields(
        host,
        image=image.reference,
        digest=image.digest,
        platform=wanted.platform or guest_platform(),
        entrypoint=image.entrypoint,
        cmd=image.cmd,
        env=list(image.env),
        workdir=image.workdir,
        image_size=image.size,
        network=wanted.network or False,
        gpu=wanted.gpu,
    )
    wanted.apply_to(fields)
    _finish(matches, host, fields, dict.fromkeys(layers, b""), compressed=image.size * 2 // 5)


def _pack_machine(matches: Matches, host: Host) -> None:
    name: str = matches["from_vm"]
    paths = Paths(host.env)
    record = Store(paths).get(name)
    if record is None:
        raise _failed("pack from VM", f"VM '{name}' not found")
    if lifecycle.recorded_state(record) == "running":
        raise _failed(
            "pack from VM",
            f"VM '{name}' is running. Stop it first with: smolvm machine stop --name {name}",
        )
    overlay = os.path.join(paths.shown_data_dir(name), OVERLAY)
    if not resources.has_disks(paths, name):
        raise _failed(
            "pack from VM",
            f"overlay disk not found at {overlay}. The VM may not have been started yet.",
        )
    host.out(f"Packing VM '{name}' snapshot...\n")
    _collect_base(host, matches)
    files = _packed_root(paths.guest_root(name))
    assets: dict[str, bytes] = {}
    if record.image is not None:
        assets = _export_container(host, record, files)
    host.out(f"Copying overlay disk ({overlay})...\n")
    wanted = _Wanted(matches, host)
    fields = _fields(
        host,
        mode="vm" if record.image is None else "container",
        image=f"vm://{name}" if record.image is None else record.image,
        digest="none",
        platform=guest_platform(),
        entrypoint=list(record.entrypoint) or [_SHELL],
        cmd=list(record.cmd),
        env=[f"{key}={value}" for key, value in record.env],
        workdir=record.workdir,
        network=record.network if wanted.network is None else wanted.network,
        gpu=wanted.gpu or bool(record.gpu),
    )
    wanted.apply_to(fields)
    disk = files if record.image is None else b""
    _finish(matches, host, fields, assets, compressed=len(zlib.compress(files, 1)), disk=disk)


def _packed_root(root: str) -> bytes:
    names = sorted(os.listdir(root)) if os.path.isdir(root) else []
    try:
        return make_tar([(name, os.path.join(root, name)) for name in names])
    except OSError as error:
        raise _failed("collect overlay", f"I/O error: {os_error_text(error)}") from None


def _export_container(host: Host, record: Record, files: bytes) -> dict[str, bytes]:
    """Say how the layers of a machine's image, and its own changes, are exported; return them."""
    assert record.image is not None  # noqa: S101 - the caller asked
    host.out("Starting agent VM to export layers...\n")
    _boot(host, "pack-fromvm")
    image = pull(host, record.image, network=True)
    host.out(f"Exporting {image.layers} layers...\n")
    layers = image.layer_digests()
    for number, digest in enumerate(layers, 1):
        _export_layer(host, digest, number, image.layers, image.size // image.layers)
    host.out(f"Exporting container overlay...\n  Overlay layer: {len(files)} bytes\n")
    return {**dict.fromkeys(layers, b""), images.digest_of(f"overlay-{record.name}"): files}


def _boot(host: Host, prefix: str) -> None:
    """Boot the machine in which images are unpacked, and end it: nothing really runs in it."""
    paths = Paths(host.env)
    name = f"{prefix}-{os.getpid()}-{time.time_ns()}"
    try:
        with begin_boot(paths, name, virtual=True) as boot:
            end(paths, name, boot.run())
    finally:
        lifecycle.remove_data(paths, name)


def _collect_base(host: Host, matches: Matches) -> None:
    host.out("Collecting runtime libraries...\n")
    libraries = matches["lib_dir"]
    if libraries is None and not has_hypervisor(host.env):
        # The host without a hypervisor is that of sessions-wide.jsonl (74/19): it lacks this too.
        raise _failed(
            "find libkrun",
            "could not find libkrun library. Use --lib-dir to specify the location.",
        )
    for name in ("libkrun.so", "libkrunfw.so.5"):
        if libraries is not None and not os.path.exists(os.path.join(host.cwd, libraries, name)):
            missing = os.path.join(libraries, name)
            raise _failed("collect libraries", f"asset not found: library not found: {missing}")
    host.out("Collecting agent rootfs...\n")
    rootfs = matches["rootfs_dir"]
    if rootfs is not None and not os.path.exists(os.path.join(host.cwd, rootfs)):
        raise _failed("collect rootfs", f"asset not found: agent rootfs not found: {rootfs}")
    host.out("Creating storage template...\n")


def _export_layer(host: Host, digest: str, number: int, count: int, size: int) -> None:
    line = f"  Layer {number}/{count}: {digest[:19]}..."
    done = f"{size >> 20} MB" if size >> 20 else f"{size >> 10} KB"
    host.out(f"{line}\r{line} {done} done\n")


def _fields(host: Host, **fields: Any) -> dict[str, Any]:
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    fraction = f".{nanoseconds:09}".rstrip("0").rstrip(".")
    return {
        **fields,
        "host_platform": host_platform(),
        "created": f"{moment}{fraction}Z",
        "smolvm_version": host.version,
    }


def _finish(
    matches: Matches,
    host: Host,
    fields: dict[str, Any],
    layers: dict[str, bytes],
    *,
    compressed: int,
    disk: bytes | None = None,
) -> None:
    """Write the files and say so; `compressed` is how many bytes the guest's files come to."""
    agent = make_tar([])
    members: list[tuple[str, str | bytes]] = [("agent-rootfs.tar", agent)]
    inventory: list[dict[str, Any]] = []
    for digest, content in layers.items():
        layer = content or make_tar([])
        path = f"{LAYERS}/{digest.removeprefix('sha256:')[:12]}.tar"
        members.append((path, layer))
        inventory.append({"digest": digest, "path": path, "size": len(layer)})
    fields["assets"] = {
        "libraries": [],
        "agent_rootfs": {"path": "agent-rootfs.tar", "size": len(agent)},
        "layers": inventory,
    }
    if disk is not None:
        members.append((OVERLAY, disk))
        fields["assets"]["overlay_template"] = {"path": OVERLAY, "size": len(disk)}
    manifest = Manifest(fields)
    output: str = matches["output"]
    one_file: bool = matches["single_file"]
    label = f"Assembling {'single-file ' * one_file}packed binary"
    host.out("".join([f"\r{frame} {label}\x1b[K" for frame in _SPINNER]))
    try:
        written = _write(matches, host, manifest, make_tar(members))
    except OSError as error:
        raise _failed("pack binary", f"I/O error: {os_error_text(error)}") from None
    finally:
        host.out(f"\r\x1b[K{label} done\n")
    # The sizes printed are those that the real one's files would have; ours are far smaller.
    real = RealSizes(host.version)
    assets = real.assets + compressed
    total = real.program + assets + written
    host.out(f"Packed: {output} (stub: {real.program >> 10}KB, total: {total >> 10}KB)\n")
    if one_file:
        host.out("Mode: single-file (no sidecar)\n")
    else:
        host.out(f"Assets: {sidecar_of(output)} ({assets >> 10}KB compressed)\n")
    host.out(f"\nRun with: {output}\n")
    if not one_file:
        host.out("Note: Keep the .smolmachine file alongside the binary\n")
    host.out("Options: --help for usage\n")


def _write(matches: Matches, host: Host, manifest: Manifest, assets: bytes) -> int:
    """Write the program and the artifact; return the size of manifest and footer, in bytes."""
    path = os.path.join(host.cwd, matches["output"])
    program = launcher()
    if matches["stub"] is not None:
        with open(os.path.join(host.cwd, matches["stub"]), "rb") as file:
            program = file.read()
    if matches["single_file"]:
        footer = write_artifact(path, manifest, assets, program=program)
    else:
        with open(path, "wb") as file:
            file.write(with_libs(program))
        footer = write_artifact(sidecar_of(path), manifest, assets)
    os.chmod(path, 0o755)  # noqa: S103 - a program is for everybody
    return footer.manifest_size + FOOTER_SIZE


def _failed(what: str, why: str) -> CommandError:
    return CommandError(f"agent operation failed: {what}: {why}")
