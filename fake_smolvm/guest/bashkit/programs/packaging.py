"""The package managers."""

from __future__ import annotations

from fake_smolvm.guest.bashkit.programs.refusals import not_emulated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from fake_smolvm.guest.bashkit.invocation import Command, Invocation


def _apk(call: Invocation) -> int:
    verb, names = _verb(call.argv)
    if verb not in ("add", "update"):
        return not_emulated(call)
    fetching = "fetch https://dl-cdn.alpinelinux.org/alpine/v3.19/main"
    if call.guest.reach(call.argv, "dl-cdn.alpinelinux.org").verdict != "allowed":
        call.say(f"{fetching}: temporary error")
        call.stderr(b"ERROR: unable to select packages\n")
        return 1
    call.say(fetching)
    if verb == "update":
        return 0
    unknown = _install(call, names)
    if unknown is not None:
        return _unknown_package(call, unknown)
    for number, name in enumerate(names, 1):
        call.say(f"({number}/{len(names)}) Installing {name}")
    call.say("OK")
    return 0


def _apt(call: Invocation) -> int:
    verb, names = _verb(call.argv)
    mirror = "archive.ubuntu.com" if call.guest.identity.name == "ubuntu" else "deb.debian.org"
    if verb not in ("install", "update"):
        return not_emulated(call)
    if call.guest.reach(call.argv, mirror).verdict != "allowed":
        level = b"E: " if verb == "install" else b"W: "
        call.stderr(level + f"Failed to fetch http://{mirror}\n".encode())
        return 100 if verb == "install" else 0
    unknown = _install(call, names) if verb == "install" else None
    if unknown is not None:
        _unknown_package(call, unknown)
        return 100
    quiet = any(word.startswith("-q") for word in call.argv)
    for name in () if quiet else names:
        call.say(f"Setting up {name} ...")
    return 0


def _unknown_package(call: Invocation, name: str) -> int:
    words = ", ".join([repr(word) for word in call.argv])
    call.stderr(
        f"fake_smolvm: {call.argv[0]}: it knows no package {name!r}, whatever the mirrors have; "
        f"provide what this answers with smolvm.guest_command({words}), or [[guest]] in a "
        "scenario, and so what the package brings\n".encode("utf-8", "surrogateescape")
    )
    return 1


def _verb(argv: Sequence[str]) -> tuple[str, list[str]]:
    """Read a package manager's command line: what to do, and with which packages."""
    words = [word for word in argv[1:] if not word.startswith("-")]
    return (words[0] if words else "", words[1:])


def _install(call: Invocation, names: Sequence[str]) -> str | None:
    """Install packages; give the first that there is not."""
    from fake_smolvm.guest.bashkit.shown import show_command
    from fake_smolvm.guest.packages import FOLDER, UnknownPackageError, install

    try:
        for command in install(names, call.guest.root):
            show_command(call.guest.root, FOLDER, command)
    except UnknownPackageError as error:
        return str(error)
    except OSError:
        return names[0]  # The guest has put something into the place of the list.
    return None


PROGRAMS: dict[str, Command] = {"apk": _apk, "apt": _apt, "apt-get": _apt}
