"""Makes calls of a cassette of the raw events that recorders left in a sandbox."""

from __future__ import annotations

import codecs
import fcntl
import shlex
import signal
import time
from ast import literal_eval
from typing import TYPE_CHECKING

from fake_smolvm.harness.cassettes.raw_events import CALLED, RECORDING_FOLDER, WATCHED
from fake_smolvm.harness.cassettes.recorded import STREAMS, Output, RecordedCall, WrittenFile
from fake_smolvm.harness.seen.call import NANOSECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from typing import Any

_PATIENCE_SECONDS = 10
"""How long a recorder that was killed may take to be gone."""


def announce(executable: Path, folder: Path) -> None:
    """Make the executable leave word that it was started before Python is, which takes a while.

    A call that is killed in the meantime would else be one that nobody ever heard of.
    """
    recorder = executable.with_name(".recorder")
    executable.rename(recorder)
    called = shlex.quote(str(folder / RECORDING_FOLDER))
    executable.write_text(
        f'#!/bin/sh\n: > {called}/"$$"{CALLED}\nexec {shlex.quote(str(recorder))} "$@"\n',
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
    if any(base.glob(f"*{CALLED}")) or any(str(pid) not in noted for pid in started):
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

    watch = Watch.load(f"{path}{WATCHED}", str(folder))
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
