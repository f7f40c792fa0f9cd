"""Which parts of a command line are secret: the values that `-e KEY=VALUE` hands over.

Read without a grammar, so that a line no version would parse is masked as well, and without
imports, as the executable on PATH masks every call it notes. A `-e` that belongs to the guest's
command, after `--`, is not smolvm's.

What is shown or stored is masked; `harness.seen.masked` has how it is compared all the same.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import TypeAlias

    Mark: TypeAlias = tuple[int, str]
    """Which word holds a secret, and the word, scrambled."""

MASK = "***"
SHORTEST_INSIDE_WORDS = 3
SHORTEST_LINE = 8
"""Of a secret of several lines, each line from this many characters on is a secret by itself."""
_LONG_OPTIONS = ("--env", "--secret-env")
_SHORT_WITH_VALUE = "Inpsvw"
"""Short options, beside `-e`, that take the rest of their word as value, where there is a `-e`."""
_LONG_FLAGS = (
    *("cuda", "detach", "docker-config", "gpu", "interactive", "net", "no-init-cache"),
    *("outbound-localhost-only", "rebuild-init-cache", "ssh-agent", "stream", "tty"),
    "unprivileged",
)
"""Long options without a value of the commands that end in a command for the guest."""


def masked_argv(argv: Iterable[str]) -> list[str]:
    """Return `argv` with every secret value as `***`; the keys stay."""
    return [word if start is None else word[:start] + MASK for word, start in _values(argv)]


def secret_values(argv: Iterable[str]) -> list[str]:
    """Return the secret values in `argv`, in order, none of them empty."""
    return [word[start:] for word, start in _values(argv) if start is not None and word[start:]]


def marked(argv: Iterable[str], key: str) -> list[Mark]:
    """Return the words of `argv` that hold a secret, scrambled, by their number."""
    return [
        (number, scrambled(word, key))
        for number, (word, start) in enumerate(_values(argv))
        if start is not None
    ]


def scrambled(text: str, key: str) -> str:
    """Return a text so that no search finds it; who has the key can undo that."""
    return _mixed(text.encode("utf-8", "surrogateescape"), key).hex()


def unscrambled(hidden: str, key: str) -> str:
    """Return what `scrambled` was given."""
    return _mixed(bytes.fromhex(hidden), key).decode("utf-8", "surrogateescape")


def _mixed(data: bytes, key: str) -> bytes:
    pad = (key or "-").encode() * (len(data) // max(len(key), 1) + 1)
    return bytes(one ^ other for one, other in zip(data, pad, strict=False))


def smolfiles(argv: Iterable[str]) -> list[str]:
    """Return the paths of the Smolfiles in `argv`, whose `env` is as secret as that of `-e`."""
    found = []
    awaited = False
    for word in argv:
        if awaited:
            found.append(word)
        awaited = word == "--smolfile"
        if word == "--":
            break
        if word.startswith("--smolfile="):
            found.append(word.partition("=")[2])
        elif word.startswith("-") and not word.startswith("--"):
            letter = _letter_with_value(word)
            if word[letter] == "s":
                value = word[letter + 1 :].removeprefix("=")
                awaited = not value
                found += [value] if value else []
    return found


def masked_text(text: str, secrets: Iterable[str]) -> str:
    """Return `text` with every occurrence of a secret as `***`, the longest first."""
    parts = {part for secret in secrets for part in _with_lines(secret) if part in text}
    ahead = [(_next(text, part, 0), -len(part), part) for part in parts]
    whole = ""
    at = 0
    while ahead := [found for found in ahead if found[0] >= 0]:
        start, _, part = min(ahead)
        whole += text[at:start] + MASK
        at = start + len(part)
        ahead = [
            found if found[0] >= at else (_next(text, found[2], at), *found[1:]) for found in ahead
        ]
    return whole + text[at:]


def _next(text: str, part: str, at: int) -> int:
    """Return where a secret stands next, as `pattern_of` has it, without `re`."""
    while (at := text.find(part, at)) >= 0:
        if len(part) >= SHORTEST_INSIDE_WORDS:
            return at
        around = text[at - 1 : at] + text[at + len(part) : at + len(part) + 1]
        if not any(letter.isascii() and letter.isalnum() for letter in around):
            return at
        at += 1
    return at


def digest(value: str, key: str) -> str:
    """Return eight hexadecimal digits that tell `value` from others, keyed by `key`.

    A guess can be checked against them: they do not hide what is easily guessed.
    """
    from hashlib import blake2b

    keyed = blake2b(
        value.encode(errors="surrogateescape"),
        key=blake2b(key.encode(errors="surrogateescape"), digest_size=32).digest(),
        digest_size=4,
    )
    return keyed.hexdigest()


def masked_head(data: bytes, limit: int, secrets: Sequence[str], *, more: int = 0) -> str:
    """Return the first `limit` characters of what was said, masked before it is cut.

    `data` is its beginning and `more` says how many bytes followed, which `cut` then tells. A
    secret that `data` has only the first part of is masked as well.
    """
    text = data.decode("utf-8", "surrogateescape")
    text = masked_text(text, secrets)
    if more:
        text = _without_cut_secret(text, secrets)
    text = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    rest = len(text[limit:].encode()) + more
    return f"{text[:limit]}{cut_mark(rest)}" if rest else text


def cut_mark(rest: int) -> str:
    """Return what stands at the end of a text in place of so many bytes."""
    return f"\n[… {rest} more bytes]"


def _without_cut_secret(text: str, secrets: Iterable[str]) -> str:
    parts = [part for secret in secrets for part in _with_lines(secret)]
    for length in range(max(map(len, parts), default=0), 0, -1):
        if any(text.endswith(part[:length]) for part in parts if len(part) > length):
            return text[: len(text) - length] + MASK
    return text


def _with_lines(secret: str) -> Iterator[str]:
    if secret:
        yield secret
        if "\n" in secret:
            for line in secret.split("\n"):
                if len(line.strip()) >= SHORTEST_LINE:
                    yield line.strip()


def pattern_of(secret: str) -> str:
    """Return a regular expression for where a secret stands in a text.

    One of a character or two counts only where it stands alone: `-e DEBUG=1` must not turn every 1
    of every output into a secret.
    """
    import re

    literal = re.escape(secret)
    if len(secret) < SHORTEST_INSIDE_WORDS:
        return rf"(?<![A-Za-z0-9]){literal}(?![A-Za-z0-9])"
    return literal


def _values(argv: Iterable[str]) -> Iterator[tuple[str, int | None]]:  # noqa: C901  one pass
    """Yield each word and where in it a secret value starts, if one does."""
    awaited = ""  # the value of what option comes next: a "secret" one, or any "other"
    over = False
    runs = guest = False  # past `run` or `exec`; past the first word of the guest's own command
    for word in argv:
        start = None
        due, awaited = awaited, ""
        if over or word == "--":
            over = True
        elif due == "secret" and not (word.startswith("--") and word[2:3].isalpha()):
            start = _after_equals(word, 0, guest)
        elif word.startswith("--"):
            option, equals, _ = word.partition("=")
            if option in _LONG_OPTIONS and equals:
                start = _after_equals(word, len(option) + 1, guest)
            elif option in _LONG_OPTIONS:
                awaited = "secret"
            elif not equals and option[2:] not in _LONG_FLAGS:
                awaited = "other"
        elif word.startswith("-"):
            # A cluster (`-ie`): what follows the letter is its value, or else the next word is.
            attached = _letter_with_value(word) + 1
            is_secret = word[attached - 1] == "e"
            if attached == len(word):
                awaited = "secret" if is_secret else "other"
            elif is_secret:
                start = _after_equals(word, attached + word.startswith("=", attached), guest)
        elif runs and due != "other":
            guest = True
        elif due != "other":
            runs = word in ("run", "exec")
        yield word, start


def _letter_with_value(word: str) -> int:
    """Return where in a cluster the letter stands that takes a value; 0 if none does."""
    for position, letter in enumerate(word):
        if letter == "e" or letter in _SHORT_WITH_VALUE:
            return position
    return 0


def _after_equals(word: str, offset: int, guest: bool) -> int | None:
    position = word.find("=", offset)
    if position >= 0:
        return position + 1
    # All of it, then: but a guest's own `grep -e this` is no secret of smolvm's.
    return None if guest or len(word) <= offset else offset
