"""A smolvm command line as a value, and how it ended. Nothing here runs anything."""

from __future__ import annotations

from functools import partial

from smolvm_wrapper.secrets import TOLD, Secrets, mask_argv, shown
from smolvm_wrapper.values import Generic, Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import IO, TypeAlias, TypeVar

    from smolvm_wrapper.errors import SmolvmError

    R_co = TypeVar("R_co", covariant=True)

    StrPath: TypeAlias = str | os.PathLike[str]
    Stdin: TypeAlias = bytes | IO[bytes] | Iterable[bytes]
    Env: TypeAlias = Mapping[str, str]
else:
    R_co = None


class Command(Value, Generic[R_co]):
    """What to run and how to read what comes of it.

    Attributes:
        argv: begins with "smolvm"; a client puts its own binary there.
        read: makes the result, or raises the error that fits.
        stdin: what the command reads; None is nothing.
        secrets: never shown.
        must_finish: killed half-way it would leave something behind (H16), so an interrupted caller
            still waits for its end.
        on_terminal: it talks to the user's terminal itself; nothing is captured.
        host_timeout: seconds until its process group is killed; None is the client's own.
    """

    argv: tuple[str, ...]
    read: Callable[[Finished], R_co]
    stdin: Stdin | None
    secrets: Secrets
    must_finish: bool
    on_terminal: bool
    host_timeout: float | None

    def __init__(
        self,
        argv: tuple[str, ...],
        read: Callable[[Finished], R_co],
        *,
        stdin: Stdin | None = None,
        secrets: Iterable[str] = (),
        must_finish: bool = False,
        on_terminal: bool = False,
        host_timeout: float | None = None,
    ) -> None:
        vars(self).update(
            argv=argv,
            read=read,
            stdin=stdin,
            secrets=Secrets(secrets),
            must_finish=must_finish,
            on_terminal=on_terminal,
            host_timeout=host_timeout,
        )

    def __repr__(self) -> str:
        return f"Command({shown(self.argv, self.secrets)})"

    def _compared(self) -> tuple[object, ...]:
        return tuple(held for name, held in vars(self).items() if name != "read")


class Finished:
    """How a command ended.

    Attributes:
        argv: what was really run.
        returncode: its exit code, or minus the signal that killed it.
        stdout: text; bytes that are no UTF-8 are lone surrogates (PEP 383), so that none is lost.
        stderr: likewise.
        secrets: never shown.
        cut_off: whether it was killed before it had said everything.
    """

    def __init__(
        self,
        argv: Sequence[str],
        returncode: int,
        stdout: str,
        stderr: str,
        secrets: Iterable[str] = (),
        *,
        cut_off: bool = False,
    ) -> None:
        self.argv = tuple(argv)
        self.returncode = returncode
        self.stdout = stdout
        self.stderr = stderr
        self.secrets = Secrets(secrets)
        self.cut_off = cut_off

    def error(self, kind: type[SmolvmError], why: str) -> SmolvmError:
        """Return an error of this kind that says what there is to know, without the secrets."""
        excerpt = partial(self.secrets.excerpt, cut_off=self.cut_off)
        what = f"{shown(self.argv, self.secrets)}: {excerpt(why, TOLD)}"
        said = excerpt(self.stderr.strip(), TOLD)
        message = f"{what}\n{said}" if said else what
        return kind(
            message.encode(errors="backslashreplace").decode(),
            argv=mask_argv(self.argv, self.secrets),
            returncode=self.returncode,
            stdout=excerpt(self.stdout),
            stderr=excerpt(self.stderr),
        )


class Pause:
    """A wait between two commands, in seconds."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds


# --- argv ---


def value(option: str, given: StrPath | int | None) -> list[str]:
    """Return `--option VALUE`, or nothing; a VALUE like an option itself is attached to it."""
    if given is None:
        return []
    text = str(given)
    return [f"{option}={text}"] if text.startswith("-") else [option, text]


def values(option: str, given: Iterable[StrPath]) -> list[str]:
    """Return `--option VALUE` for each."""
    return [word for one in given for word in value(option, one)]


def switch(option: str, on: bool | None) -> list[str]:
    """Return `--option`, or nothing."""
    return [option] if on else []


def settings(env: Env | None) -> list[str]:
    """Return `-e KEY=VALUE` for each."""
    return [word for key, text in (env or {}).items() for word in ("-e", f"{key}={text}")]
