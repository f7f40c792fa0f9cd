"""`smolvm pack run`: a command in a machine made of an artifact for it."""

from __future__ import annotations

import os

from fake_smolvm.artifacts.errors import ArtifactError
from fake_smolvm.artifacts.format import SUFFIX, checksum_holds, read_footer, read_manifest
from fake_smolvm.artifacts.manifest import host_platform
from fake_smolvm.operations import packed_machines
from fake_smolvm.operations.packed_machines import Packed, failed, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fake_smolvm.clap.outcome import Matches
    from fake_smolvm.host import Host


def run(matches: Matches, host: Host) -> int:
    """Find the artifact and run the command, or show the manifest."""
    return run_sidecar(_find_sidecar(host, matches["sidecar"]), matches, host)


def run_sidecar(shown: str, matches: Matches, host: Host) -> int:
    """Check the artifact at the path `shown`; then show its manifest, or run the command."""
    path = os.path.join(host.cwd, shown)
    debug: bool = matches["debug"]
    say(host, f"using sidecar: {shown}", wanted=debug)
    context = "read footer"
    try:
        footer = read_footer(path)
        if not checksum_holds(path, footer):
            raise failed(
                "verify sidecar",
                f"checksum mismatch for {shown}: sidecar may be corrupt or tampered with.\n"
                "Try re-packing the image with `smolvm pack`.",
            )
        say(host, f"sidecar checksum verified ({footer.checksum:08x})", wanted=debug)
        context = "read manifest"
        packed = Packed(path, host, footer, read_manifest(path), debug=debug)
    except ArtifactError as error:
        raise failed(context, str(error)) from None
    if matches.values.get("info"):
        host.out(packed.description())
        return 0
    _check_platform(packed.manifest.host_platform)
    return packed_machines.run_once(packed, matches)


def _find_sidecar(host: Host, given: str | None) -> str:
    if given is not None:
        if os.path.exists(os.path.join(host.cwd, given)):
            return given
        raise failed(
            "find sidecar", f"sidecar file not found: {given}\nSpecify with --sidecar PATH"
        )
    here = [name for name in os.listdir(host.cwd) if _is_sidecar(name)] if host.cwd else []
    if len(here) > 1:
        raise failed(
            "find sidecar",
            "multiple .smolmachine files in current directory. Specify with --sidecar PATH",
        )
    if here:
        return os.path.join(host.cwd, here[0])
    raise failed(
        "find sidecar",
        "no .smolmachine sidecar file found.\nSpecify with: smolvm pack run --sidecar PATH",
    )


def _is_sidecar(name: str) -> bool:
    return name.endswith(SUFFIX) and name != SUFFIX


def _check_platform(packed_for: str) -> None:
    current = host_platform()
    if packed_for != current:
        raise failed(
            "platform mismatch",
            f"this artifact was built for {packed_for} but the current platform is {current}\n"
            "\n"
            f"To run on {current}, create a new pack:\n"
            "\n"
            "  smolvm pack create --image <image> -o <output>\n"
            "\n"
            "Or push platform-specific artifacts under separate tags:\n"
            "\n"
            "  smolvm pack push myrepo:v1-darwin-arm64 -f myapp-darwin.smolmachine\n"
            "  smolvm pack push myrepo:v1-linux-amd64  -f myapp-linux.smolmachine",
        )
