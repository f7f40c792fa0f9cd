"""Which commands run in a process of their own, because the shell library might not survive them.

bashkit bounds how deep functions, substitutions and nested syntax go; not so scripts that run
scripts by their path, `eval`, and a few commands' own parsers. Those end in a stack overflow, which
nobody can catch. So a script stays in this process only if all that it can run is known.
"""

from __future__ import annotations

import os

from fake_smolvm.guest.bashkit import native
from fake_smolvm.guest.bashkit.quirks import SHELLS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from fake_smolvm.guest.bashkit.inside import Inside

_MOST_TEXT = 16384
"""Characters of a script that are looked at; a longer one gets a process."""
_MOST_FILES = 8
"""Scripts that are looked at for one command."""
_SAFE = frozenset(
    """
: [ [[ apk apt apt-get arch base64 basename break cat cd chgrp chmod chown cksum clear cmp comm
continue cp curl cut date dd declare df diff dirname du echo egrep exit expand export expr factor
false fgrep find fold free getopts grep groups gunzip gzip hash head hexdump hostname id ifconfig
install ip jobs kill let link ln local ls md5sum mkdir mktemp mount mv nl nproc nslookup od paste
ping ping6 pip pip3 popd printenv printf ps pushd pwd python python3 read readlink readonly realpath
return rev rm rmdir sed seq set sha1sum sha256sum sha512sum shift shopt shuf sleep sort split stat
strings sync tac tail tar tee test touch tr true truncate type typeset ulimit umask umount uname
unexpand uniq unlink unset uptime wait wc wget which whoami yes zcat
""".split()  # noqa: SIM905
)
"""Commands that run no others, and whose own depth is bounded."""
_RUNNERS = frozenset(
    ("builtin", "command", "env", "exec", "nice", "nohup", "time", "timeout", "xargs")
)
"""Commands that run the one that stands in their arguments."""
_ENDLESS_AWK = ("system", "getline", "|", "while", "for", "do", "function", "func")


def is_safe(guest: Inside, argv: Sequence[str]) -> bool:
    """Return whether the shell library, running a command, surely has room on the stack."""
    return _Look(guest).is_safe(argv)


class _Look:
    """One look at a command and the scripts that it runs."""

    def __init__(self, guest: Inside) -> None:
        self._guest = guest
        self._files: set[str] = set()

    def is_safe(self, argv: Sequence[str]) -> bool:
        """Whether nothing that the command can run may overflow the stack."""
        name, words = argv[0], argv[1:]
        if name in SHELLS:
            first = next((at for at, word in enumerate(words) if word[:1] != "-"), None)
            if first is None:
                return False  # A session: what comes on its stdin, nobody knows.
            if any("c" in option for option in words[:first]):
                return self._is_safe_text(words[first])
            return self._is_safe_file(words[first])
        if name.startswith("/"):
            return self._is_safe_file(name)
        return self._is_safe_command(name, words)

    def _is_safe_file(self, path: str) -> bool:
        """Whether a script is safe; it is read now, and may be another one when it runs."""
        if not path.startswith("/") or path in self._files or len(self._files) == _MOST_FILES:
            return False
        self._files.add(path)
        try:
            with open(self._guest.tree.open(path, os.O_RDONLY), "rb") as file:
                text = file.read(_MOST_TEXT + 1).decode(errors="replace")
        except OSError:
            return False
        return self._is_safe_text(text)

    def _is_safe_text(self, text: str) -> bool:
        if len(text) > _MOST_TEXT or "eval" in text or _hides_commands(text):
            return False
        found = native.analyze(text)
        if found is None:
            return True  # It does not parse, so nothing of it runs.
        if found.is_opaque or found.truncated:
            return False
        functions = frozenset(found.functions)
        return all(
            command.name is None
            or command.name in functions
            or self._is_safe_command(command.name, command.args)
            for command in found.commands
        )

    def _is_safe_command(self, name: str, words: Sequence[str | None]) -> bool:
        if "/" in name:
            if not self._guest.identity.has(name):
                return self._is_safe_file(name)
            name = name.rpartition("/")[2]
        if name == "find":
            return all(word is not None and word[:3] not in ("-ex", "-ok") for word in words)
        if name == "awk":
            return not any(
                word is None or word.startswith("-f") or any(sign in word for sign in _ENDLESS_AWK)
                for word in words
            )
        if name == "trap":
            return not words or (words[0] is not None and self._is_safe_text(words[0]))
        if name in _RUNNERS:
            return _is_safe_runner(words)
        return name in _SAFE


def _is_safe_runner(words: Sequence[str | None]) -> bool:
    if any(word in ("-v", "-V") for word in words):
        return True  # It only tells where a command is.
    for word in words:
        if word is None:
            return False
        if not (word.startswith("-") or "=" in word or word[:1].isdigit()):
            return word in _SAFE and word != "find"
    return True


def _hides_commands(text: str) -> bool:
    """Whether there may be commands in a text where nobody looks for them."""
    if "$(" not in text and "`" not in text:
        return False
    return "${" in text or "((" in text or "$[" in text
