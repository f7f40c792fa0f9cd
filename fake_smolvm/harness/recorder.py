"""The `smolvm` that a test finds on PATH when it runs on a real binary: starts it, takes notes.

Without recording, the binary gets this process's own streams and only the call is noted. With it,
everything that the binary reads (if it reads stdin at all) and writes goes through here, and into a
file of raw events, one a call, that `compiled` makes calls of a cassette of.

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
import time
from ast import literal_eval
from hashlib import sha256
from typing import TYPE_CHECKING

from fake_smolvm.harness.calls import NANOSECONDS
from fake_smolvm.harness.cassette import Output, RecordedCall, WrittenFile
from fake_smolvm.harness.inside import keep_inside
from fake_smolvm.harness.journal import Head, Journal, file_at_hand, surroundings
from fake_smolvm.harness.reading import Read, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import Any

    Note = Callable[..., None]

RECORDING_FOLDER = "recording"
LARGEST_KEPT_FILE = 64 * 1024
"""Bytes of a file on the host that a cassette keeps; of a larger one, only what it was."""

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
    """Run `binary` on this process's argv; give its exit code, or die of the signal it died of."""
    cwd = os.getcwd()
    journal = Journal(folder)
    call = journal.start(os.getpid(), sys.argv, cwd, surroundings(), file_at_hand(0))
    keep_inside(os.environ, folder, outside)
    said = {"stdout": Head(), "stderr": Head()}
    if record:
        line = read(sys.argv[1:], version)
        code = _recorded(folder, call, binary, cwd, line, said)
    else:
        code = _plain(binary)
    for guard in _guards:
        os.write(guard, b".")
    journal.end(call, code, said["stderr"], said["stdout"])
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code


def _plain(binary: str) -> int:
    child = _start(binary)
    return child.wait()


def _start(binary: str, **streams: Any) -> subprocess.Popen[bytes]:
    child = subprocess.Popen([binary, *sys.argv[1:]], **streams)
    for number in _FORWARDED:
        signal.signal(number, lambda number, _: child.send_signal(number))
    _guard(child.pid)
    return child


def _guard(pid: int) -> None:
    """Have the binary killed if this process is: a third one notices that by a pipe."""
    watched, held = os.pipe()
    if os.fork() == 0:
        os.setsid()
        for name in os.listdir("/dev/fd"):
            if int(name) != watched:
                with contextlib.suppress(OSError):  # the one that listed them
                    os.close(int(name))
        if os.read(watched, 1) == b"":
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        os._exit(0)
    os.close(watched)
    _guards.append(held)


_guards: list[int] = []
"""Pipes to them, held open as long as this process lives; a byte sends them away."""


def _recorded(  # noqa: PLR0917
    folder: str, call: str, binary: str, cwd: str, line: Read, said: Mapping[str, Head]
) -> int:
    path = os.path.join(folder, RECORDING_FOLDER, f"{call}.events")
    events = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    lock = threading.Lock()

    def note(kind: str, *what: Any) -> None:
        if kind in said:
            said[kind].add(what[0])
        elif kind == "stdin":
            Journal(folder).read(call, what[0])
        with lock:
            os.write(events, f"{(kind, time.monotonic_ns(), *what)!r}\n".encode())

    written = _written_files(line, cwd)
    before = {path for path in written if os.path.exists(path)}
    note("start", sys.argv, cwd)
    interactive = _reads_stdin(line)
    child = _start(
        binary,
        stdin=subprocess.PIPE if interactive else None,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    for number in _FORWARDED:
        signal.signal(number, lambda number, _: _forward(child, number, note))
    if interactive:
        threading.Thread(target=_pump_stdin, args=(child, note), daemon=True).start()
    _pump_output(child, note)
    code = child.wait()
    for typed, path in zip(_typed_files(line), written, strict=True):
        _note_file(typed, path, existed=path in before, note=note)
    note("end", code)
    return code


def _forward(child: subprocess.Popen[bytes], number: int, note: Note) -> None:
    note("killed", number)
    child.send_signal(number)


def _pump_stdin(child: subprocess.Popen[bytes], note: Note) -> None:
    if child.stdin is None:
        return
    try:
        while data := os.read(0, _CHUNK):
            note("stdin", data)
            child.stdin.write(data)
            child.stdin.flush()
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
                except BrokenPipeError:
                    # Let the binary meet what it would have met: a pipe that nobody reads.
                    selector.unregister(key.fileobj)
                    os.close(key.fd)


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


def _typed_files(line: Read) -> list[str]:
    """Name the files on the host that a command writes, as they were typed."""
    if line.matches is None:
        return []
    values = line.matches.values
    if line.command == "machine cp" and ":" in values["src"]:
        return [values["dst"]]
    if line.command == "pack create":
        return [values["output"], f"{values['output']}.smolmachine"]
    if line.command in ("pack pull", "serve openapi") and values["output"]:
        return [values["output"]]
    return []


def _written_files(line: Read, cwd: str) -> list[str]:
    return [os.path.join(cwd, path) for path in _typed_files(line)]


def _note_file(typed: str, path: str, *, existed: bool, note: Note) -> None:
    try:
        with open(path, "rb") as file:
            content = file.read()
    except FileNotFoundError:
        if existed:
            note("removed", typed)
    except OSError:
        pass  # a folder, or not ours to read: then it is not what the command wrote
    else:
        if len(content) <= LARGEST_KEPT_FILE:
            note("file", typed, content)
        else:
            note("large file", typed, len(content), sha256(content).hexdigest())


def compiled(folder: Path) -> list[RecordedCall]:
    """Make calls of the raw events that recorders left in a sandbox, in the order they started."""
    logs = [list(_events(path)) for path in sorted((folder / RECORDING_FOLDER).glob("*.events"))]
    logs = sorted((log for log in logs if log), key=lambda log: log[0][1])
    return [_compiled(log, logs[0][0][1]) for log in logs]


def _events(path: Path) -> Iterator[tuple[Any, ...]]:
    for line in path.read_text(encoding="utf-8").split("\n")[:-1]:
        yield literal_eval(line)


def _compiled(log: list[tuple[Any, ...]], first: int) -> RecordedCall:  # noqa: C901  one case a kind
    (_, start, argv, _), *events = log
    call = RecordedCall(argv=argv[1:], started=_seconds(start - first))
    stdin = b""
    killed: int | None = None
    for kind, now, *what in events:
        match kind:
            case "stdin":
                stdin += what[0]
            case "stdout" | "stderr":
                _add_output(call, _seconds(now - start), kind, _decode(what[0]))
            case "killed":
                killed = what[0]
            case "file":
                call.files.append(WrittenFile(what[0], _decode(what[1])))
            case "large file":
                call.files.append(WrittenFile(what[0], None, what[1], what[2]))
            case "removed":
                call.files.append(WrittenFile(what[0], None))
            case "end":
                call.seconds = _seconds(now - start)
                _set_ending(call, what[0], killed)
    if stdin:
        call.stdin = _decode(stdin)
    if call.seconds is None:
        # Nobody noted the end: the recorder itself was killed, by the one who called it.
        call.killed = signal.Signals(killed or signal.SIGKILL).name
    return call


def _set_ending(call: RecordedCall, code: int, killed: int | None) -> None:
    if killed is not None:
        call.killed = signal.Signals(killed).name
        call.exit = None if code == -killed else code
    elif code < 0:
        call.signal = signal.Signals(-code).name
    else:
        call.exit = code


def _add_output(call: RecordedCall, at: float, stream: str, text: str) -> None:
    # What a reader happened to get in two pieces is one thing said.
    last = call.output[-1] if call.output else None
    if last is not None and last.stream == stream and at - last.at < _SAME_MOMENT_SECONDS:
        last.text += text
    else:
        call.output.append(Output(at, stream, text))


_SAME_MOMENT_SECONDS = 0.05


def _seconds(nanoseconds: int) -> float:
    return round(nanoseconds / NANOSECONDS, 3)


def _decode(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
