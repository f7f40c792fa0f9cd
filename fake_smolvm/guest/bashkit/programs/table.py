"""Which programs are ours, and the module each is in: data, so that none is loaded unasked."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from fake_smolvm.guest.bashkit.invocation import Command

_MODULES = {
    name: module
    for module, names in (
        ("files", "chgrp chown cp mv rm rmdir tee"),
        ("links", "ln"),
        ("network", "curl nslookup ping ping6 wget"),
        ("packaging", "apk apt apt-get"),
        ("refusals", "__missing __no_bash"),
        ("shell_words", "__command_v __type"),
        ("streams", "cat dd echo env false head printenv pwd seq sleep true yes"),
        ("system", "df free halt hostname id ifconfig ip mount nproc poweroff ps reboot"),
        ("system", "umount uname which"),
        ("tools", "dc getopt lsof nc"),
    )
    for name in names.split()
}
SYSTEM = frozenset(
    """
    apk apt apt-get curl df free hostname id ifconfig ip ln mount nproc nslookup ping ping6 ps seq
    umount uname wget which
    """.split()  # noqa: SIM905
)
"""Those that tell what the machine is; scripts meet them too."""
WITH_VOLUMES = frozenset(name for name, module in _MODULES.items() if module == "files")
"""Those that scripts meet in a guest with volumes, of which bashkit's do not keep a mount."""
WITHOUT_SHELL = (
    SYSTEM
    | {name for name, module in _MODULES.items() if module == "streams"}
    | {
        "halt",
        "poweroff",
        "reboot",
    }
)
"""Those that run without any shell when they are the whole command."""
TOOLS = frozenset(name for name, module in _MODULES.items() if module == "tools")
"""Those that bashkit lacks altogether."""


def load(name: str) -> Command:
    """Return one of our programs."""
    module = f"{__package__}.{_MODULES[name]}"
    __import__(module)
    program: Command = sys.modules[module].PROGRAMS[name]
    return program


def later(name: str) -> Command:
    """Return one of our programs, which is loaded when it is run."""
    return lambda call: load(name)(call)  # noqa: PLW0108 - loads it


def streaming(argv: Sequence[str]) -> Command | None:
    """Return the program that runs an argv without a shell; None if it takes a shell."""
    name = argv[0].rpartition("/")[2]
    words = argv[1:]
    if name not in WITHOUT_SHELL or _takes_shell(name, words):
        return None
    if name == "head":
        from fake_smolvm.guest.bashkit.programs.streams import head_size

        try:
            head_size(argv)
        except (ValueError, IndexError, KeyError):
            return None
    return load(name)


def _takes_shell(name: str, words: Sequence[str]) -> bool:
    if name in ("env", "printenv", "pwd"):
        return bool(words)
    if name == "cat":
        return any(word.startswith("-") and word != "-" for word in words)
    if name == "echo":
        return bool(words) and words[0].startswith("-") and words[0] != "-n"
    known = ("if", "of", "bs", "count", "status", "conv")
    return name == "dd" and not all(word.partition("=")[0] in known for word in words)
