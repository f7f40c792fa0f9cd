"""What must never be shown: the values of `-e KEY=VALUE`, wherever they turn up."""

from __future__ import annotations

from functools import cached_property

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Iterable, Iterator

MASK = "***"
# Of each stream an error holds so many characters from the beginning, and as many from the end;
KEPT = 32_768
# its text holds so many.
TOLD = 2_000

_SHORT = 4  # characters below which a secret is masked as a whole word only
_MOST_MACHINES = 1_000
_MOST_VALUES = 1_000


class Secrets(tuple[str, ...]):  # noqa: SLOT001 - it keeps its pattern
    """Values to mask; not even its own `repr` shows them."""

    def __repr__(self) -> str:
        return f"Secrets({MASK})" if self else "Secrets()"

    def mask(self, text: str) -> str:
        """Return the text with every secret in it as `***`, also where it was quoted or escaped.

        A secret of up to 3 characters is masked only where it stands alone: `1` as a value must
        not turn `os error 11` or the name `m1` into riddles.
        """
        return self._pattern.sub(MASK, text) if self and text else text

    def unfinished(self, text: str) -> str:
        """Return text that was cut off, without the beginning of a secret at its end."""
        cuts = [_begun(text, form) for form in self._forms() if len(form) > _SHORT]
        cut = min(cuts, default=len(text))
        return text if cut == len(text) else text[:cut] + MASK

    def excerpt(self, text: str, kept: int = KEPT, *, cut_off: bool = False) -> str:
        """Return the text masked, and of a long one so much of its beginning and of its end.

        Args:
            text: that may hold secrets.
            kept: how many characters.
            cut_off: its end is not the end of what was to be said.
        """
        if len(text) <= 2 * kept:
            return self.unfinished(self.mask(text)) if cut_off else self.mask(text)
        head, _ = self.cut(text, kept)
        _, tail = self.cut(text, len(text) - kept)
        left_out = f"\n… {tail - head} characters left out …\n"
        return self.mask(text[:head]) + left_out + self.excerpt(text[tail:], kept, cut_off=cut_off)

    def cut(self, text: str, position: int) -> tuple[int, int]:
        """Return where text before and after `position` ends and begins, with no half secret."""
        margin = self.margin()
        if margin:
            start = max(0, position - margin)
            for found in self._pattern.finditer(text, start, position + margin):
                if found.start() < position < found.end():
                    return found.span()
        return position, position

    def margin(self) -> int:
        """Return how many bytes the longest way to write one of them takes."""
        return max((len(form.encode(errors="surrogatepass")) for form in self._forms()), default=0)

    def _forms(self) -> list[str]:
        return sorted({form for secret in self for form in _forms(secret)}, key=len, reverse=True)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        import re

        forms = [
            rf"(?<!\w){re.escape(form)}(?!\w)" if len(form) < _SHORT else re.escape(form)
            for form in self._forms()
        ]
        return re.compile("|".join(forms) or r"(?!)")


class Remembered:
    """The secrets that machines were given, for errors of commands that come later.

    Bounded: beyond a thousand machines, the one longest untouched is forgotten.
    """

    def __init__(self) -> None:
        from threading import Lock

        self._changing = Lock()
        self._machines: dict[str, Secrets] = {}

    def add(self, machine: str, secrets: Iterable[str]) -> None:
        """Take note of what a machine is given."""
        with self._changing:
            known = dict.fromkeys([*self._machines.pop(machine, ()), *secrets])
            if known:
                self._machines[machine] = Secrets(list(known)[-_MOST_VALUES:])
            if len(self._machines) > _MOST_MACHINES:
                del self._machines[next(iter(self._machines))]

    def of(self, machine: str | None) -> Secrets:
        """Return what a machine was given."""
        return self._machines.get(machine or "", Secrets())

    def forget(self, machine: str) -> None:
        """Forget a machine that is gone."""
        with self._changing:
            self._machines.pop(machine, None)


class Tail:
    """The end of a stream: so much that no secret in what is kept of it can be a half one."""

    def __init__(self, size: int, secrets: Secrets) -> None:
        self._size = size
        self._secrets = secrets
        self._margin = secrets.margin()
        self._kept = b""
        self._is_cut = False

    def add(self, chunk: bytes) -> None:
        """Take more."""
        self._kept += chunk
        most = self._size + self._margin
        self._is_cut = self._is_cut or len(self._kept) > most
        self._kept = self._kept[-most:]

    def text(self) -> str:
        """Return the end, as text; bytes that are no UTF-8 are lone surrogates (PEP 383)."""
        text = self._kept.decode("utf-8", "surrogateescape")
        if not self._is_cut:
            return text
        _, start = self._secrets.cut(text, max(len(text) - self._size, self._margin))
        return text[start:]


def masked(text: str, secrets: Iterable[str]) -> str:
    """Return the text without these secrets."""
    return Secrets(secrets).mask(text)


def mask_argv(argv: Iterable[str], secrets: Secrets) -> list[str]:
    """Return the same words, each `-e KEY=VALUE` as `KEY=***`."""
    safe: list[str] = []
    for word in argv:
        key, _, text = word.partition("=")
        setting = text in secrets and safe[-1:] == ["-e"]
        safe.append(f"{key}={MASK}" if setting else secrets.mask(word))
    return safe


def shown(argv: Iterable[str], secrets: Secrets) -> str:
    """Return the command line as one would type it, without the secrets."""
    from shlex import join

    return join(mask_argv(argv, secrets))


def _begun(text: str, form: str) -> int:
    """Return where the text ends with a beginning of a secret, else its length."""
    at = text.find(form[:_SHORT], max(0, len(text) - len(form) + 1))
    while at != -1 and not form.startswith(text[at:]):
        at = text.find(form[:_SHORT], at + 1)
    return len(text) if at == -1 else at


def _forms(secret: str) -> Iterator[str]:
    """Yield how a secret may turn up: whole, trimmed, line by line, in JSON, in quotes."""
    import json

    lines = [line.strip() for line in secret.splitlines()] if "\n" in secret else []
    parts = [secret, secret.strip(), *(line for line in lines if len(line) >= _SHORT)]
    for part in filter(None, parts):
        yield part
        yield json.dumps(part, ensure_ascii=False)[1:-1]
        yield json.dumps(part)[1:-1]
        yield repr(part)[1:-1]
        yield part.replace("'", "'\\''")
        yield part.replace("'", "'\"'\"'")
