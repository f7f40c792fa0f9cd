"""Words that are shown masked, and compared as they were."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from fake_smolvm.harness.on_path.secrets import MASK, masked_argv, unscrambled

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import SupportsIndex

    from fake_smolvm.harness.on_path.secrets import Mark


class Masked(str):
    """A word with a secret in it: shown as `***`, and equal to what it was.

    So `call.argv[-1] == "TOKEN=right"` is true, and `== "TOKEN=wrong"` is not, nor is the text
    that is seen, `"TOKEN=***"`: compare `str(word)` with that. `in`, `startswith`, `endswith`, a
    hash and what is cut off (`partition`, `split`, slices) go by what it was as well, all else by
    what is seen.
    """

    __slots__ = ("_word",)
    _word: str

    def __new__(cls, shown: str, word: str) -> Self:
        """Make one that is seen as `shown`, and is `word`."""
        masked = super().__new__(cls, shown)
        masked._word = word
        return masked

    def __eq__(self, other: object) -> bool:
        return self._word == revealed(other) if isinstance(other, str) else NotImplemented

    def __ne__(self, other: object) -> bool:
        return self._word != revealed(other) if isinstance(other, str) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._word)

    def __contains__(self, text: str) -> bool:  # type: ignore[override]
        return revealed(text) in self._word

    def startswith(self, *args: Any) -> bool:
        """Tell how it begins, as strings do."""
        return self._word.startswith(*args)

    def endswith(self, *args: Any) -> bool:
        """Tell how it ends, as strings do."""
        return self._word.endswith(*args)

    def __getitem__(self, index: SupportsIndex | slice) -> str:
        if isinstance(index, slice) and index.step in (None, 1):
            start, stop, _ = index.indices(len(self._word))
            return self._part(start, stop)
        return str(self)[index]

    def removeprefix(self, prefix: str, /) -> str:
        """Return it without a prefix, as strings do."""
        return self[len(prefix) :] if self._word.startswith(prefix) else self

    def partition(self, sep: str, /) -> tuple[str, str, str]:
        """Return the parts before, of and after a separator, as strings do."""
        head, found, _ = self._word.partition(sep)
        if not found:
            return self, "", ""
        return self[: len(head)], sep, self[len(head) + len(sep) :]

    def split(self, sep: str | None = None, maxsplit: SupportsIndex = -1) -> list[str]:
        """Return the parts between separators, as strings do."""
        at = 0
        parts = []
        for part in self._word.split(sep, maxsplit):
            at = self._word.index(part, at)
            parts.append(self[at : at + len(part)])
            at += len(part)
        return parts

    def _part(self, start: int, stop: int) -> str:
        word = self._word[start:stop]
        visible = str(self).find(MASK)
        if stop <= visible or not word:
            return word
        return Masked(self._word[start:visible] + MASK, word)

    def __deepcopy__(self, _: object) -> Self:
        return self

    def __reduce__(self) -> Any:
        return str, (str(self),)


def revealed(word: str) -> str:
    """Return a word as it was, not to be shown or stored."""
    return word._word if isinstance(word, Masked) else word  # noqa: SLF001


def hidden(argv: Sequence[str]) -> list[str]:
    """Return a command line that shows no secret, and equals what it was."""
    return [
        Masked(shown, word) if shown.endswith(MASK) else word
        for word, shown in zip(argv, masked_argv(argv), strict=True)
    ]


def differing(words: Iterable[str], wanted: Iterable[str]) -> list[str]:
    """Return the words, as shown, that look like those wanted but had another value."""
    return [
        str(word)
        for word, other in zip(words, wanted, strict=False)
        if isinstance(word, Masked)
        and word != other
        and other.startswith(str(word).partition(MASK)[0])
    ]


def explained(op: str, left: object, right: object) -> list[str] | None:
    """Return what pytest is to show of a comparison that failed; None if nothing is masked.

    Both sides look the same where only the value of a secret differs.
    """
    ours, wanted = _words(left), _words(right)
    if op != "==" or not any(isinstance(word, Masked) for word in (*ours, *wanted)):
        return None
    shown = _hidden(ours, wanted), _hidden(wanted, ours)
    differ = dict.fromkeys([*differing(ours, wanted), *differing(wanted, ours)])
    lines = [f"{shown[0]} == {shown[1]}", *(f"the value of {word} is another" for word in differ)]
    for number, (one, other) in enumerate(zip(*shown, strict=False)):
        if one != other:
            lines.append(f"at index {number}: {one!r} != {other!r}")
    if len(ours) != len(wanted):
        lines.append(f"{len(ours)} words, not {len(wanted)}")
    return lines


def _words(side: object) -> Sequence[str]:
    if isinstance(side, str):
        return [side]
    if isinstance(side, list | tuple) and all(isinstance(word, str) for word in side):
        return side
    return []


def _hidden(words: Sequence[str], others: Sequence[str]) -> list[str]:
    """Return words as they are shown, masked where those on the other side are."""
    shown = list(map(str, words))
    for number, other in enumerate(others[: len(shown)]):
        visible = str(other).partition(MASK)[0]
        if isinstance(other, Masked) and words[number].startswith(visible):
            shown[number] = visible + MASK
    return shown


def restored(words: Sequence[str], marks: Iterable[Mark], key: str) -> tuple[str, ...]:
    """Return a masked argv whose words equal those that it was made of."""
    whole = list(words)
    for number, hidden in marks:
        whole[number] = Masked(words[number], unscrambled(hidden, key))
    return tuple(whole)
