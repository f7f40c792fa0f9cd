"""What bashkit takes otherwise than a guest's shell, put right in the script before it runs it.

Whoever joins or scans the words of a command does so here.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from fake_smolvm.guest.bashkit.inside import Inside

_SHELL_WORDS_TEXT = """
alias break builtin case cd command continue declare do done echo elif else esac eval exec exit
export false fi for function getopts if in jobs local printf read readonly return select set shift
source test then time trap true type ulimit umask unset until wait while
"""
SHELL_WORDS = frozenset(_SHELL_WORDS_TEXT.split())
"""What a shell knows without looking for a file."""
SHELLS = frozenset(("sh", "ash", "bash", "dash"))
_ENDLESS = frozenset(("cat", "head", "seq", "sleep", "yes"))
_PLAIN = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-,+:@% "
"""Characters that mean themselves to a shell, wherever they are."""
_READERS_TEXT = """
ash awk base64 bash bc bzip2 cat cksum cmp comm cut dash dd diff egrep fgrep fold grep gunzip gzip
head hexdump jq less mapfile md5sum more nl node od paste python python3 read readarray rev sed
select sh sha1sum sha256sum sha512sum sort split strings sum tac tail tar tee tr unexpand uniq wc
while xargs xxd zcat
"""
_READERS = frozenset(_READERS_TEXT.split())
"""Commands that may want stdin. For all others nobody waits until it ends."""


def wants_stdin(argv: Sequence[str]) -> bool:
    """Whether a command with these arguments reads stdin, to its end, and before anything else."""
    name = argv[0].rpartition("/")[2]
    return name in _READERS and all(word.startswith("-") and word != "-c" for word in argv[1:])


def without_shell(argv: list[str], guest: Inside) -> list[str]:
    """Return the argv of a script that is one plain command of ours with output without end to it.

    A shell puts the command in its own place then, and bashkit has no room for such output.
    """
    if len(argv) != 3 or argv[0] not in SHELLS or argv[1] != "-c":  # noqa: PLR2004
        return argv
    command, sign, place = argv[2].partition(">")
    place = place.strip()
    if sign and command.strip() == "cat" and place and not place.strip(_PLAIN.rstrip()):
        return ["dd", f"of={place}", "status=none"]
    words = argv[2].split()
    if not words or words[0] not in _ENDLESS or argv[2].strip(_PLAIN):
        return argv
    return words if words[0] in guest.identity.names else argv


def devices(guest: Inside, text: str) -> str | None:
    """Return a host folder with those devices that a script reads; None if it reads none.

    They are files: as long as the largest number in the script, for bashkit has nothing endless.
    """
    names = [name for name in ("zero", "urandom", "random") if f"/dev/{name}" in text]
    if not names:
        return None
    largest = largest_number(text)
    folder = os.path.join(os.path.dirname(guest.root), "dev")
    os.makedirs(folder, exist_ok=True)
    for name in names:
        size = min(max(largest, 1 << 16), (1 << 26) if name == "zero" else (1 << 22))
        with open(os.path.join(folder, name), "wb") as file:
            if name == "zero":
                file.truncate(size)
            else:
                file.write(os.urandom(size))
    return folder


def rewritten(word: str) -> str:
    """Put into a script what bashkit means otherwise.

    Its shell is process 1, which in a guest is the init; its `dd` keeps all in memory; its
    `command -v` and `type` know commands that the guest has not, and not where the others are.
    """
    if not any(sign in word for sign in ("kill", "dd ", "command", "type ")):
        return word
    import re

    word = re.sub(r"\bcommand\s+-[vV]\s+(?=[\w.+-])", "__command_v ", word)
    word = re.sub(r"(?<![\w-])type\s+(?=[\w.+-]+\s*(?:[;&|>\n)]|$))", "__type ", word)
    word = re.sub(r"\bkill\s+(?:-\w+\s+)?1\b(?![\d.])", "true", word)
    return re.sub(r"\bdd\b(?=[^|;&\n]*\bif=/dev/)(?=[^|;&\n]*\bof=)", "__dd", word)


def without_bash(script: str) -> str:
    """Put into a script that there is no `bash`, which bashkit takes for itself."""
    if "bash" not in script:
        return script
    import re

    before = r"(^|[;&|({\n]|\b(?:then|do|else|if|while|until|exec|env|nohup|xargs|time)\s|!\s)"
    return re.sub(rf"{before}(\s*)bash(?=[\s;&|)]|$)", r"\1\2__no_bash", script)


def may_read(text: str) -> bool:
    """Return whether a script names a program that may want stdin."""
    import re

    return not _READERS.isdisjoint(re.findall(r"[\w.]+", text))


def leaves_children(text: str) -> bool:
    """Whether a script starts children in the background whose output goes elsewhere."""
    return any(children(text))


def children(text: str) -> list[str]:
    """Return the commands that a script leaves in the background, as `ps` shows them."""
    if "&" not in text or ">" not in text:
        return []
    import re

    alone = r"(?<!&)&(?![&>\d])"
    found = re.findall(rf"([^;&|\n()]*[^&>\d\s]?\s*\d?>{{1,2}}\s*[^&\s][^;|\n]*?){alone}", text)
    shown = [re.sub(r"\d?[<>]+&?\s*\S+", "", child).strip() for child in found]
    return [re.sub(r"^(?:sh -c\s+|nohup\s+|setsid\s+|['\"({\s]+)*", "", child) for child in shown]


def largest_number(script: str) -> int:
    """Return the largest number of bytes that a script may be about."""
    if not any(digit in script for digit in "0123456789"):
        return 0
    import re

    units = {"k": 10, "K": 10, "M": 20, "G": 30}
    found = re.findall(r"(?<!\d)(\d{1,12})([kKMG]?)(?!\d)", script)
    count = max([int(number) for number in re.findall(r"count=(\d{1,12})", script)], default=1)
    return count * max([int(number) << units.get(unit, 0) for number, unit in found], default=0)
