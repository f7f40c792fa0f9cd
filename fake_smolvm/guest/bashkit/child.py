"""The process that runs a command apart from its client: a fork of it, or a new Python."""

from __future__ import annotations

import os

from fake_smolvm.errors import LimitError, SetupError
from fake_smolvm.guest.bashkit.frames import (
    ASKED,
    CHANNEL,
    END,
    FAILED,
    LOST,
    OUT_OF_TIME,
    REFUSED,
    TOLD,
    Work,
    receive,
    send,
)
from fake_smolvm.guest.bashkit.run import Output, Run
from fake_smolvm.guest.protocol import ConnectionLostError
from fake_smolvm.machines.process import Process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, BinaryIO, NoReturn

    from fake_smolvm.guest.bashkit.inside import Inside
    from fake_smolvm.guest.protocol import GuestResult
    from fake_smolvm.machines.paths import Paths

_MOST_MEMORY = 4 << 30
"""Bytes of address space, most of them never used: four times the machine that a test makes."""
_STACK = 16 << 20
"""Bytes; what goes deeper than that goes on for ever, and is over the sooner."""


def fork(locks: Iterable[str]) -> int:
    """Fork; the child has a session of its own, no output, and no part in a start's locks."""
    nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    try:
        pid = os.fork()
        if pid == 0:
            os.setsid()
            for stream in (1, 2):
                os.dup2(nothing, stream)
            _let_go(locks)
    finally:
        os.close(nothing)
    return pid


def _let_go(paths: Iterable[str]) -> None:
    """Close what this process inherited of these files: they are locked as long as it is open."""
    held = []
    for path in paths:
        try:
            held.append(os.stat(path))
        except FileNotFoundError:
            continue
    for name in os.listdir("/dev/fd"):
        try:
            if any(os.path.samestat(os.fstat(int(name)), lock) for lock in held):
                os.close(int(name))
        except OSError:
            continue  # The listing's own is closed by now.


def be_child() -> NoReturn:
    """Read what is to be done from a socket, and do it: the process that `spawned` makes."""
    from marshal import dumps, loads

    from fake_smolvm.guest.bashkit.inside import inside_of
    from fake_smolvm.machines.paths import Paths
    from fake_smolvm.machines.record import Record

    client = os.getppid()
    os.set_inheritable(CHANNEL, False)
    os.setsid()

    def answer() -> Any:
        with open(os.dup(CHANNEL), "rb", buffering=0) as channel:
            content = receive(channel, int.from_bytes(receive(channel, 4), "big"))
            return loads(content)  # noqa: S302 - from our own parent

    def ask(*question: Any) -> Any:
        content = dumps(question)
        send(CHANNEL, ASKED, len(content), content)
        return answer()

    told = answer()
    work = Work(
        told["argv"], told["env"], told["cwd"], told["timeout"], for_children=told["for_children"]
    )
    paths, record = Paths(told["paths"]), Record.from_row(told["record"])
    process = None if told["pid"] is None else _Kept(paths, record.name, told["pid"], client)
    test: Any = _Test(ask) if told["asks"] else None
    guest = inside_of(paths, record, process=process, scenario=test)
    stdin = open(0, "rb", buffering=0) if told["has_stdin"] else None  # noqa: SIM115
    live(guest, work, stdin, CHANNEL, client, terminal=told["terminal"], outlives=False)


class _Test:
    """The guest commands of a test that is another process."""

    guest_commands = True

    def __init__(self, ask: Callable[..., Any]) -> None:
        self.guest_command = ask


class _Kept(Process):
    """A virtual process, as another process sees it: its agent's file, and its own parent."""

    def __init__(self, paths: Paths, name: str, pid: int, client: int) -> None:
        super().__init__(pid, None)
        self._agent = os.path.join(paths.machine_dir(name), "agent")
        self._client = client

    def condition(self) -> Any:
        """Return whether the machine is still there, and who started it."""
        there = os.getppid() == self._client and os.path.exists(self._agent)
        return "alive" if there else "gone"


def live(
    guest: Inside,
    work: Work,
    stdin: BinaryIO | None,
    channel: int,
    client: int,
    *,
    terminal: bool,
    outlives: bool,
) -> NoReturn:
    """Run a command, tell its client of it, and end this process."""

    def tell(kind: int, number: int, content: bytes = b"") -> None:
        try:
            send(channel, kind, number, content)
        except (BrokenPipeError, ConnectionResetError):
            if not outlives:
                os._exit(0)

    def client_gone() -> bool:
        nonlocal client
        if os.getppid() == client:
            return False
        if outlives and client:
            client = 0
            run.stay()
        return not outlives

    try:
        _bound()
        output = Output(lambda kind, data: tell(kind, len(data), data), terminal=terminal)
        run = Run(guest, work.argv, output, env=work.env, cwd=work.cwd, stdin=stdin, stack=_STACK)
        result: GuestResult = run.wait(work.timeout, client_gone, for_children=work.for_children)
        tell(OUT_OF_TIME if result.timed_out else END, result.exit_code)
        os.close(channel)
        run.linger()
    except ConnectionLostError:
        tell(LOST, 0)
    except BaseException as failure:  # noqa: BLE001 - the client raises it
        kind, content = _as_frame(failure)
        tell(kind, len(content), content)
    finally:
        os._exit(0)


def _as_frame(failure: BaseException) -> tuple[int, bytes]:
    """Return the kind and the content of the frame from which the client makes `failure` again."""
    if isinstance(failure, (LimitError, SetupError)):
        text = f"{type(failure).__name__} {failure.message}"
        return TOLD, text.encode("utf-8", "surrogateescape")
    if isinstance(failure, OSError):
        text = f"{failure.errno or 0} {failure.filename or ''}"
        return REFUSED, text.encode("utf-8", "surrogateescape")
    return FAILED, repr(failure).encode()


def _bound() -> None:
    """Leave no core behind, and take only so much memory."""
    import resource

    for what, most in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_AS, _MOST_MEMORY)):
        soft, hard = resource.getrlimit(what)
        known = [limit for limit in (soft, hard, most) if limit != resource.RLIM_INFINITY]
        try:
            resource.setrlimit(what, (min(known), hard))
        except (OSError, ValueError):
            pass  # Not on this system.
