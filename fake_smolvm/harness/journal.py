"""The journal of calls: who was called with what, when, and how it ended.

One line a event, each appended by a single write, so that any number of processes share a file.
A line is the `repr` of a tuple, which needs no import to write and keeps every string (also bytes
that are no UTF-8, as surrogates) exactly:

    ("start", call, nanoseconds, pid, [argv…], cwd)
    ("end", call, nanoseconds, exit code, head of stderr)
    ("crash", call, nanoseconds, traceback of an error in the fake itself)

`call` tells calls apart. Times are of the monotonic clock, which all processes share. Secrets are
masked before anything is written.
"""

from __future__ import annotations

import os
import time

from fake_smolvm.harness.secrets import masked_argv, masked_text, secret_values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any, TypeAlias

    Event: TypeAlias = tuple[Any, ...]

HEAD_OF_STDERR = 400
"""Characters of a call's stderr that the journal keeps."""


def started(pid: int, argv: Sequence[str], cwd: str) -> Event:
    """Give the event of a call that begins."""
    now = time.monotonic_ns()
    return ("start", f"{pid}-{now}", now, pid, masked_argv(argv), cwd)


def ended(call: str, exit_code: int, argv: Sequence[str], stderr: bytes) -> Event:
    """Give the event of a call that is over by itself; a signal is a negative exit code."""
    head = stderr.decode("utf-8", "replace")
    head = masked_text(head, secret_values(argv))[:HEAD_OF_STDERR]
    return ("end", call, time.monotonic_ns(), exit_code, head)


def crashed(call: str, argv: Sequence[str], traceback: str) -> Event:
    """Give the event of a call that met an error in the fake."""
    return ("crash", call, time.monotonic_ns(), masked_text(traceback, secret_values(argv)))


def append(path: str, event: Event) -> None:
    """Append an event to the journal at `path`."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, f"{event!r}\n".encode())
    finally:
        os.close(descriptor)


def read(path: str) -> Iterator[Event]:
    """Give the events in the journal at `path`; a line cut short by a kill is left out."""
    from ast import literal_eval

    try:
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines(keepends=True)
    except FileNotFoundError:
        return
    for line in lines:
        if line.endswith("\n"):
            yield literal_eval(line)
