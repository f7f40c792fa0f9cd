"""The `smolvm` that a test finds on PATH when it runs on a real binary: starts it, takes notes.

Without recording, the binary gets this process's own streams and only the call is noted. With it,
everything that the binary reads (if it reads stdin at all) and writes goes through here, and into a
file of raw events, one a call, that `compiling` makes calls of a cassette of. This process holds a
lock on that file for as long as it lives. What it cannot note it still passes on, and leaves word
that the recording is not whole.

Signals are passed on, and a death by one is died again, so that the caller sees what it would have
seen. If this process is killed outright, so is the binary.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

from fake_smolvm.harness.cassettes.raw_events import WATCHED, Notes
from fake_smolvm.harness.on_path.inside import keep_inside
from fake_smolvm.harness.on_path.journal import Head, Journal, file_at_hand, surroundings
from fake_smolvm.harness.seen.reading import Read, read

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import FrameType
    from typing import Any

    Note = Callable[..., None]
EXIT_NOT_STARTED = 127
"""What a shell says of a command that cannot be started."""
EXIT_NOT_NOTED = 70
"""EX_SOFTWARE: no smolvm says that."""

_CHUNK = 65536
_FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
_IDLE_AFTER_EXIT_SECONDS = 0.05
"""How long output may stay away, once the binary is over, before nobody waits for more."""


def main(
    folder: str,
    outside: Mapping[str, Sequence[str]],
    binary: str,
    version: str,
    *,
    record: bool,
) -> int:
    """Run `binary` on this process's argv; return its exit code, or die of the signal it did."""
    _open_standard_streams()
    try:
        cwd = os.getcwd()
    except FileNotFoundError:
        cwd = ""
    journal = Journal(folder)
    said = {"stdout": Head(), "stderr": Head()}
    try:
        call = journal.start(os.getpid(), sys.argv, cwd, surroundings(), file_at_hand(0))
        notes = Notes(folder) if record else None
    except OSError as error:
        return _fail(f"the call cannot be noted in {folder}: {error.strerror}", EXIT_NOT_NOTED)
    keep_inside(os.environ, folder, outside)
    if notes is None:
        code = _started(binary, None, lambda: _Child(binary).run())
    else:

        def note(kind: str, *what: Any) -> None:
            if kind in said:
                said[kind].add(what[0])
            elif kind == "stdin":
                journal.read(call, what[0])
            notes(kind, *what)

        line = read(sys.argv[1:], version)
        code = _started(
            binary, notes, lambda: _recorded(folder, notes.path, note, binary, cwd, line)
        )
    for guard in _guards:
        os.write(guard, b".")
    with contextlib.suppress(OSError):
        journal.end(call, code, said["stderr"], said["stdout"])
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code


def _started(binary: str, notes: Notes | None, run: Callable[[], int]) -> int:
    """Return the exit code of what runs the binary, or say why it cannot be started."""
    try:
        return run()
    except OSError as error:
        if notes is not None:
            notes("unkept", f"{binary} could not be started: {error.strerror}")
            notes("end", EXIT_NOT_STARTED)
        return _fail(f"{binary} cannot be started: {error.strerror}", EXIT_NOT_STARTED)


def _fail(why: str, code: int) -> int:
    with contextlib.suppress(OSError):
        os.write(2, f"smolvm (started by pytest): {why}\n".encode(errors="backslashreplace"))
    return code


def _open_standard_streams() -> None:
    """Open what the caller closed: else a file of ours would be taken for stdout."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


class _Child:
    """The binary, while it runs: signals that come for this process go to it."""

    def __init__(self, binary: str, note: Note | None = None, **streams: Any) -> None:
        number: int
        self._note = note
        self._pending: list[int] = []
        self.process: subprocess.Popen[bytes] | None = None
        for number in _FORWARDED:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._forward)
        self.process = subprocess.Popen([binary, *sys.argv[1:]], **streams)
        _guard(self.process.pid)
        for number in self._pending:
            self.process.send_signal(number)

    def run(self) -> int:
        """Wait for it; return its exit code."""
        return self.process.wait() if self.process else EXIT_NOT_STARTED

    def _forward(self, number: int, _: FrameType | None) -> None:
        if self._note is not None:
            self._note("killed", number)
        if self.process is None:
            self._pending.append(number)
        else:
            self.process.send_signal(number)


def _guard(pid: int) -> None:
    """Have the binary killed if this process is: a third one notices that by a pipe."""
    watched, held = os.pipe()
    if os.fork() == 0:
        try:
            os.setsid()
            _close_all_but(watched)
            if os.read(watched, 1) == b"":
                os.kill(pid, signal.SIGKILL)
        finally:
            os._exit(0)
    os.close(watched)
    _guards.append(held)


def _close_all_but(kept: int) -> None:
    try:
        descriptors = [int(name) for name in os.listdir("/dev/fd")]
    except OSError:
        descriptors = list(range(os.sysconf("SC_OPEN_MAX")))
    for descriptor in descriptors:
        if descriptor != kept:
            with contextlib.suppress(OSError):  # the one that listed them
                os.close(descriptor)


_guards: list[int] = []
"""Pipes to them, held open as long as this process lives; a byte sends them away."""


def _recorded(  # noqa: PLR0917
    folder: str, events: str, note: Note, binary: str, cwd: str, line: Read
) -> int:
    from fake_smolvm.harness.cassettes.left_behind import Watch

    note("start", sys.argv, cwd)
    watch = Watch.begin(folder, line, cwd)
    with contextlib.suppress(OSError):
        watch.save(events + WATCHED)
    interactive = _reads_stdin(line)
    child = _Child(
        binary,
        note,
        stdin=subprocess.PIPE if interactive else None,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    if child.process is None:
        return EXIT_NOT_STARTED
    if interactive:
        threading.Thread(target=_pump_stdin, args=(child.process, note), daemon=True).start()
    _pump_output(child.process, note)
    code = child.run()
    watch.note(note)
    note("end", code)
    return code


def _pump_stdin(child: subprocess.Popen[bytes], note: Note) -> None:
    if child.stdin is None:
        return
    try:
        while data := os.read(0, _CHUNK):
            note("stdin", data)
            child.stdin.write(data)
            child.stdin.flush()
        note("stdin", b"")
        child.stdin.close()
    except OSError:
        pass  # the binary reads no more


def _pump_output(child: subprocess.Popen[bytes], note: Note) -> None:
    """Pass on what the binary writes, until it is over and silent."""
    with selectors.DefaultSelector() as selector:
        for stream, name, to in ((child.stdout, "stdout", 1), (child.stderr, "stderr", 2)):
            selector.register(stream, selectors.EVENT_READ, (name, to))  # type: ignore[arg-type]
        while selector.get_map():
            over = child.poll() is not None
            ready = selector.select(_IDLE_AFTER_EXIT_SECONDS if over else 0.5)
            if over and not ready:
                break
            for key, _ in ready:
                name, to = key.data
                data = os.read(key.fd, _CHUNK)
                if not data:
                    selector.unregister(key.fileobj)
                    continue
                note(name, data)
                try:
                    _write_all(to, data)
                except OSError:
                    # Let the binary meet what it would have met: a pipe that nobody reads.
                    selector.unregister(key.fileobj)
                    key.fileobj.close()  # type: ignore[union-attr]


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _reads_stdin(line: Read) -> bool:
    """Tell whether a command reads stdin; one that does not must leave it to its caller."""
    if line.matches is None:
        return False
    values = line.matches.values
    return bool(
        values.get("interactive")
        or line.command == "machine shell"
        or (line.command == "machine delete" and not values["force"])
    )
