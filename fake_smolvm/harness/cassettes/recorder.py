"""The `smolvm` that a test finds on PATH when it runs on a real binary: starts it, takes notes.

Without recording, the binary gets this process's own streams and only the call is noted. With it,
everything that the binary reads (if it reads stdin at all) and writes goes through here, and into a
file of raw events, one a call, that `compiled` makes calls of a cassette of. This process holds a
lock on that file for as long as it lives. What it cannot note it still passes on, and leaves word
that the recording is not whole.

Signals are passed on, and a death by one is died again, so that the caller sees what it would have
seen. If this process is killed outright, so is the binary.
"""

from __future__ import annotations

import codecs
import contextlib
import fcntl
import os
import selectors
import shlex
import signal
import subprocess
import sys
import threading
import time
from ast import literal_eval
from typing import TYPE_CHECKING

from fake_smolvm.harness.cassettes.cassette import STREAMS, Output, RecordedCall, WrittenFile
from fake_smolvm.harness.on_path.inside import keep_inside
from fake_smolvm.harness.on_path.journal import Head, Journal, file_at_hand, surroundings
from fake_smolvm.harness.seen.calls import NANOSECONDS
from fake_smolvm.harness.seen.reading import Read, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from types import FrameType
    from typing import Any

    Note = Callable[..., None]

RECORDING_FOLDER = "recording"
LARGEST_OUTPUT = 16 * 1024 * 1024
"""Bytes that a call may read and write to be recorded."""
EXIT_NOT_STARTED = 127
"""What a shell says of a command that cannot be started."""
EXIT_NOT_NOTED = 70
"""EX_SOFTWARE: no smolvm says that."""

_CHUNK = 65536
_FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
_IDLE_AFTER_EXIT_SECONDS = 0.05
"""How long output may stay away, once the binary is over, before nobody waits for more."""
_PATIENCE_SECONDS = 10
"""How long a recorder that was killed may take to be gone."""
_WATCHED = ".watched"
"""Ends the name of the file that says what the call's files on the host were before it."""
_CALLED = ".called"
"""Ends the name of the file that says: this process was started, and has noted nothing yet."""


def main(
    folder: str,
    outside: Mapping[str, Sequence[str]],
    binary: str,
    version: str,
    *,
    record: bool,
) -> int:
    """Run `binary` on this process's argv; give its exit code, or die of the signal it died of."""
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


class Notes:
    """The raw events of one call."""

    def __init__(self, folder: str) -> None:
        """Begin; that a call was started is known from here on, whatever becomes of it."""
        base = os.path.join(folder, RECORDING_FOLDER)
        self.path = os.path.join(base, f"{os.getpid()}-{time.monotonic_ns()}.events")
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._descriptor = os.open(self.path, flags, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(base, f"{os.getpid()}{_CALLED}"))
        self._lock = threading.RLock()  # a signal may come while something is noted
        self._size = 0

    def __call__(self, kind: str, *what: object) -> None:
        """Note something, if there is room for it; leave word if there is not."""
        line = f"{(kind, time.monotonic_ns(), *what)!r}\n".encode()
        with self._lock:
            if self._size < 0:
                return
            self._size += len(what[0]) if isinstance(what[0], bytes) else 0
            if self._size > LARGEST_OUTPUT:
                megabytes = LARGEST_OUTPUT // 1024**2
                why = f"the call read or wrote more than the {megabytes} MB that are recorded"
                line = f"{('unkept', time.monotonic_ns(), why)!r}\n".encode()
                self._size = -1
            try:
                whole = os.write(self._descriptor, line) == len(line)
            except OSError:
                whole = False
            if not whole:
                self._give_up()

    def _give_up(self) -> None:
        """Leave word of a full disk: renaming needs no room."""
        self._size = -1
        with contextlib.suppress(OSError):
            os.rename(self.path, f"{self.path}.full")


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
        watch.save(events + _WATCHED)
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


# --- in the test's own process ---


def announce(executable: Path, folder: Path) -> None:
    """Let the executable leave word that it was started before Python is, which takes a while.

    A call that is killed in the meantime would else be one that nobody ever heard of.
    """
    recorder = executable.with_name(".recorder")
    executable.rename(recorder)
    called = shlex.quote(str(folder / RECORDING_FOLDER))
    executable.write_text(
        f'#!/bin/sh\n: > {called}/"$$"{_CALLED}\nexec {shlex.quote(str(recorder))} "$@"\n',
        encoding="utf-8",
        errors="surrogateescape",
    )
    executable.chmod(recorder.stat().st_mode)


def compiled(folder: Path, started: Iterable[int] = ()) -> tuple[list[RecordedCall], list[str]]:
    """Make calls of the raw events that recorders left in a sandbox, in the order they started.

    `started` are processes that are known to have been calls. Returns the calls, and what in words
    is missing in them.
    """
    base = folder / RECORDING_FOLDER
    missing = []
    noted = {path.name.partition("-")[0] for path in base.iterdir()}
    if any(base.glob(f"*{_CALLED}")) or any(str(pid) not in noted for pid in started):
        missing.append(_KILLED_TOO_EARLY)
    if any(base.glob("*.full")):
        missing.append(f"a call could not be noted in {base}: no room, or a limit on files")
    logs: list[list[tuple[Any, ...]]] = []
    killed = []
    for path in sorted(base.glob("*.events")):
        if not _is_over(path):
            missing.append("a call is not over yet: wait for it, or end it, before the test ends")
        log = list(_events(path))
        if log:
            logs.append(log)
            if log[-1][0] != "end":
                killed.append((log, path))
        else:
            missing.append(_KILLED_TOO_EARLY)
    logs.sort(key=lambda log: log[0][1])
    for log, path in killed:
        log.extend(_left_when_killed(folder, path, logs))
    missing += [str(event[2]) for log in logs for event in log if event[0] == "unkept"]
    return [_compiled(log, logs[0][0][1]) for log in logs], list(dict.fromkeys(missing))


_KILLED_TOO_EARLY = (
    "a call was killed before it could be noted: let it begin, which takes a second at most, before"
    " it is ended"
)


def _is_over(path: Path) -> bool:
    """Tell whether the recorder that wrote a file is gone; it holds a lock while it lives."""
    with open(path, "rb") as file:
        patient_until = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > patient_until:
                    return False
                time.sleep(0.01)
            else:
                return True


def _left_when_killed(
    folder: Path, path: Path, logs: Iterable[list[tuple[Any, ...]]]
) -> list[tuple[Any, ...]]:
    """Look for what a call changed on the host that was killed before it could look itself."""
    from fake_smolvm.harness.cassettes.left_behind import Watch

    watch = Watch.load(f"{path}{_WATCHED}", str(folder))
    found: list[tuple[Any, ...]] = []
    if watch is not None:
        watch.note(lambda kind, *what: found.append((kind, 0, *what)))
    others = {event[2] for log in logs for event in log if event[0] in _ABOUT_FILES}
    return [event for event in found if event[2] not in others]


_ABOUT_FILES = ("file", "large file", "folder", "removed")


def _events(path: Path) -> Iterator[tuple[Any, ...]]:
    for line in path.read_text(encoding="utf-8").split("\n")[:-1]:
        yield literal_eval(line)


def _compiled(log: list[tuple[Any, ...]], first: int) -> RecordedCall:  # noqa: C901  one case a kind
    (_, start, argv, _), *events = log
    call = RecordedCall(argv=argv[1:], started=_seconds(start - first))
    decoders = {
        stream: codecs.getincrementaldecoder("utf-8")("surrogateescape") for stream in STREAMS
    }
    last_at = dict.fromkeys(STREAMS, 0.0)
    stdin: bytes | None = None
    killed: int | None = None
    for kind, now, *what in events:
        match kind:
            case "stdin":
                stdin = (stdin or b"") + what[0]
                call.stdin_ended = not what[0]
            case "stdout" | "stderr":
                text = decoders[kind].decode(what[0])
                last_at[kind] = _seconds(now - start)
                _add_output(call, last_at[kind], kind, text)
            case "killed":
                killed = what[0]
            case "file":
                call.files.append(WrittenFile(what[0], _decode(what[1]), executable=what[2]))
            case "large file":
                call.files.append(WrittenFile(what[0], None, what[1], what[2], what[3]))
            case "removed":
                call.files.append(WrittenFile(what[0], None))
            case "folder":
                call.files.append(WrittenFile(what[0], None, folder=True))
            case "end":
                call.seconds = _seconds(now - start)
                _set_ending(call, what[0], killed)
    for stream, decoder in decoders.items():
        _add_output(call, last_at[stream], stream, decoder.decode(b"", final=True))
    if stdin is not None:
        call.stdin = _decode(stdin)
    if call.seconds is None:
        # Nobody noted the end: the recorder itself was killed, by the one who called it.
        call.killed = signal.Signals(killed or signal.SIGKILL).name
    return call


def _set_ending(call: RecordedCall, code: int, killed: int | None) -> None:
    if killed is not None:
        call.killed = signal.Signals(killed).name
        call.exit = None if code == -killed else code
        if code < 0 and code != -killed:
            call.killed, call.exit, call.signal = None, None, signal.Signals(-code).name
    elif code < 0:
        call.signal = signal.Signals(-code).name
    else:
        call.exit = code


def _add_output(call: RecordedCall, at: float, stream: str, text: str) -> None:
    if not text:
        return
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
