"""Which parts of a command line are secret: the values that `-e KEY=VALUE` hands over.

Read without a grammar, so that a line no version would parse is masked as well, and without
imports, as the executable on PATH masks every call it notes. A `-e` that belongs to the guest's
command, after `--`, is not smolvm's.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MASK = "***"
SHORTEST_INSIDE_WORDS = 3
_LONG_OPTIONS = ("--env", "--secret-env")


def masked_argv(argv: Iterable[str]) -> list[str]:
    """Give `argv` with every secret value as `***`; the keys stay."""
    return [word if start is None else word[:start] + MASK for word, start in _values(argv)]


def secret_values(argv: Iterable[str]) -> list[str]:
    """Give the secret values in `argv`, in order, none of them empty."""
    return [word[start:] for word, start in _values(argv) if start is not None and word[start:]]


def masked_text(text: str, secrets: Iterable[str]) -> str:
    """Give `text` with every occurrence of a secret as `***`, the longest first."""
    for secret in sorted(secrets, key=len, reverse=True):
        if secret in text:
            import re

            text = re.sub(pattern_of(secret), MASK, text)
    return text


def digest(value: str, key: str) -> str:
    """Give eight hexadecimal digits that tell `value` from others, keyed by `key`.

    A guess can be checked against them: they do not hide what is easily guessed.
    """
    from hashlib import blake2b

    keyed = blake2b(
        value.encode(errors="surrogateescape"),
        key=blake2b(key.encode(errors="surrogateescape"), digest_size=32).digest(),
        digest_size=4,
    )
    return keyed.hexdigest()


def pattern_of(secret: str) -> str:
    """Give a regular expression for where a secret stands in a text.

    One of a character or two counts only where it stands alone: `-e DEBUG=1` must not turn every 1
    of every output into a secret.
    """
    import re

    literal = re.escape(secret)
    if len(secret) < SHORTEST_INSIDE_WORDS:
        return rf"(?<![A-Za-z0-9]){literal}(?![A-Za-z0-9])"
    return literal


def _values(argv: Iterable[str]) -> Iterator[tuple[str, int | None]]:
    """Give each word and where in it a secret value starts, if one does."""
    awaited = over = False
    for word in argv:
        start = None
        if over or word == "--":
            over = True
        elif awaited:
            start, awaited = _after_equals(word, 0), False
        elif word in _LONG_OPTIONS:
            awaited = True
        elif word.startswith("--"):
            option, equals, _ = word.partition("=")
            if equals and option in _LONG_OPTIONS:
                start = _after_equals(word, len(option) + 1)
        elif word.startswith("-") and "e" in word:
            # A cluster (`-ie`): what follows its `e` is the value, or else the next word is.
            attached = word.index("e") + 1
            awaited = attached == len(word)
            start = _after_equals(word, attached + word.startswith("=", attached))
        yield word, start


def _after_equals(word: str, offset: int) -> int | None:
    position = word.find("=", offset)
    return position + 1 if position >= 0 else None
