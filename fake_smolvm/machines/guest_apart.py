"""Commands of a guest that may outlive their client, each in a process of its own.

What the client is to show comes back through a pipe, in frames: a byte (1 stdout, 2 stderr, 0 the
end), and a number of four bytes: how much follows, or the exit code.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_END = 0
_LOST = 3
_FAILED = 4
_HEAD = 5
"""Bytes of a frame before its content."""


def fork() -> int:
    """Fork; the child has a session of its own and nothing on its standard streams."""
    pid = os.fork()
    if pid == 0:
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (1, 2):
            os.dup2(nothing, stream)
    return pid


def run_apart(
    make: Callable[[Callable[[int, bytes], None]], Any],
    output: Any,
    timeout: float | None,
    *,
    for_children: bool,
    outlives: bool,
) -> int:
    """Run what `make` makes, given where its output goes; give its exit code.

    It goes on when this process is killed only if `outlives`. Raises ConnectionLostError when its
    machine is gone.
    """
    from fake_smolvm.machines.guest_run import KILLED, ConnectionLostError, PipeClosedError

    reading, writing = os.pipe()
    client = os.getpid()
    if fork() == 0:
        os.close(reading)
        _child(make, writing, timeout, client, for_children=for_children, outlives=outlives)
    os.close(writing)
    with open(reading, "rb") as frames:
        while len(head := frames.read(_HEAD)) == _HEAD:
            kind, number = head[0], int.from_bytes(head[1:], "big", signed=True)
            if kind == _END:
                return number
            if kind == _LOST:
                break
            if kind == _FAILED:
                raise RuntimeError(frames.read(number).decode())
            try:
                output.write(kind, frames.read(number))
            except PipeClosedError:
                return KILLED
    raise ConnectionLostError


def _child(
    make: Callable[[Callable[[int, bytes], None]], Any],
    writing: int,
    timeout: float | None,
    client: int,
    *,
    for_children: bool,
    outlives: bool,
) -> None:
    from fake_smolvm.machines.guest_run import ConnectionLostError

    def send(kind: int, number: int, content: bytes = b"") -> None:
        frame = memoryview(bytes((kind,)) + number.to_bytes(4, "big", signed=True) + content)
        try:
            while frame:
                frame = frame[os.write(writing, frame) :]
        except BrokenPipeError:
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
        run = make(lambda kind, data: send(kind, len(data), data))
        result = run.wait(timeout, client_gone, for_children=for_children)
        send(_END, result.exit_code)
        os.close(writing)
        run.linger()
    except ConnectionLostError:
        send(_LOST, 0)
    except BaseException as failure:  # noqa: BLE001 - the client raises it
        content = repr(failure).encode()
        send(_FAILED, len(content), content)
    finally:
        os._exit(0)
