"""The `smolvm` that a test finds on PATH when it plays a cassette: says what was recorded.

Which recordings are played already is kept in the sandbox, one file each, as calls come from any
number of processes. Every recording is played once. For one machine they are played in the order
recorded; between machines, and for commands that are about none, the order is free.

Files are written only where this call's own argv has them written, or in a folder that a call of
this test has mounted, and only inside the test's own folders.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
from contextlib import suppress
from difflib import SequenceMatcher, ndiff
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from fake_smolvm.harness.cassettes.cassette import Cassette, CassetteError
from fake_smolvm.harness.cassettes.host_files import OutsideError, OwnFolders
from fake_smolvm.harness.cassettes.left_behind import note_mounts, typed_files
from fake_smolvm.harness.cassettes.played import (
    LOCK,
    NOT_RECORDED,
    PLAYED_FOLDER,
    bindings,
    not_its_file,
    write_bindings,
)
from fake_smolvm.harness.cassettes.recorded import RecordedCall, map_text
from fake_smolvm.harness.on_path.inside import keep_inside
from fake_smolvm.harness.on_path.journal import Head, Journal, surroundings
from fake_smolvm.harness.on_path.secrets import masked_argv
from fake_smolvm.harness.seen.reading import read

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from fake_smolvm.harness.cassettes.naming import Bindings
    from fake_smolvm.harness.cassettes.recorded import WrittenFile

EXIT_NOT_RECORDED = 70
"""EX_SOFTWARE: no smolvm says that."""
_COMPARED_WORDS = 200
"""Words of two command lines that are compared to find the nearest; more takes too long."""


def main(folder: str, outside: Mapping[str, Sequence[str]], cassette: str) -> int:
    """Answer this process's argv from the cassette; return the exit code."""
    try:
        cwd = os.getcwd()
    except FileNotFoundError:
        cwd = ""
    journal = Journal(folder)
    call = journal.start(os.getpid(), sys.argv, cwd, surroundings())
    keep_inside(os.environ, folder, outside)
    said = Head()
    try:
        code, stderr = _answer(folder, Path(cassette), cwd, partial(journal.read, call), said)
    except (CassetteError, OutsideError) as error:
        code, stderr = _refuse(folder, str(error))
    journal.end(call, code, Head(stderr), said)
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code


def _answer(
    folder: str, cassette: Path, cwd: str, note_stdin: Callable[[bytes], object], said: Head
) -> tuple[int, bytes]:
    recorded = Cassette.load(cassette)
    argv = sys.argv[1:]
    chosen = _choose(Path(folder), recorded, argv)
    if isinstance(chosen, str):
        return _refuse(folder, chosen)
    if chosen.stdin is None:
        # Before a word is said: who reads it may look for the files, or kill this process.
        _leave_files(folder, chosen, argv, cwd, recorded.version)
        _say(chosen, said)
        return _end(chosen)
    _say(chosen, said)
    if not _same_stdin(chosen.stdin, note_stdin, to_its_end=chosen.stdin_ended):
        lines = ["got another stdin than was recorded:", *_indented(masked_argv(argv))]
        return _refuse(folder, "\n".join(lines))
    _leave_files(folder, chosen, argv, cwd, recorded.version)
    return _end(chosen)


def _choose(folder: Path, cassette: Cassette, argv: list[str]) -> RecordedCall | str:
    """Find the recording to play, and take it; or say why there is none."""
    played = folder / PLAYED_FOLDER
    machines = [read(call.argv, cassette.version).machine for call in cassette.calls]
    with open(folder / LOCK, "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        known = bindings(folder, cassette)
        blocked: set[str] = set()
        waiting: int | None = None
        for number, call in enumerate(cassette.calls):
            if (played / str(number)).exists():
                continue
            machine = machines[number]
            found = known.match(call.argv, argv)
            if found is not None and machine in blocked:
                waiting = number if waiting is None else waiting
            elif found is not None:
                (played / str(number)).touch()
                known.values |= found
                write_bindings(folder, known.values)
                return map_text(call, known.fill)
            if machine is not None:
                blocked.add(machine)
        left = [number for number in range(len(machines)) if not (played / str(number)).exists()]
        if waiting is not None:
            before = next(number for number in left if machines[number] == machines[waiting])
            return _too_early(argv, cassette.calls[before])
        return _not_recorded(argv, [cassette.calls[number] for number in left], known)


def _too_early(argv: list[str], before: RecordedCall) -> str:
    lines = ["called too early:", *_indented(masked_argv(argv))]
    lines += ["before it, this was recorded for the same machine:", *_indented(before.argv)]
    return "\n".join(lines)


def _not_recorded(argv: list[str], left: list[RecordedCall], known: Bindings) -> str:
    asked = masked_argv(argv)
    if not left:
        return "\n".join(["called after the last recording was played:", *_indented(asked)])
    short = asked[:_COMPARED_WORDS]
    nearest = max(
        left, key=lambda call: SequenceMatcher(None, call.argv[:_COMPARED_WORDS], short).ratio()
    )
    recorded = masked_argv([known.fill(word) for word in nearest.argv])
    lines = ["not recorded; the nearest recording (-) and the call (+):"]
    shown = ndiff(recorded[:_COMPARED_WORDS], short)
    lines += [f"  {line}" for line in shown if not line.startswith("?")]
    if recorded == asked:
        lines.append(
            "they differ in a value that is not shown or differs from run to run: it is not the one"
            " that it was in the calls before, or the same as another that it differed from"
        )
    for name in dict.fromkeys(known.unbound(nearest.argv)):
        lines.append(
            f'<{name}> has no value in this run: smolvm.name_value("{name}", ...) gives it one,'
            " before the call"
        )
    return "\n".join(lines)


def _indented(argv: Sequence[str]) -> list[str]:
    return [f"    {word}" for word in argv]


def _refuse(folder: str, why: str) -> tuple[int, bytes]:
    with suppress(OSError):
        os.write(2, f"smolvm (replay): {why}\n".encode(errors="backslashreplace"))
    with open(
        os.path.join(folder, NOT_RECORDED), "a", encoding="utf-8", errors="backslashreplace"
    ) as file:
        file.write(f"{why}\n")
    return EXIT_NOT_RECORDED, why.encode(errors="backslashreplace")


def _say(call: RecordedCall, said: Head) -> None:
    """Say what was recorded; `said` gets what of it is for stdout."""
    closed: set[str] = set()
    for part in call.output:
        rest = memoryview(_encoded(part.text))
        if part.stream == "stdout":
            said.add(rest)
        while rest and part.stream not in closed:
            try:
                rest = rest[os.write(1 if part.stream == "stdout" else 2, rest) :]
            except OSError:
                closed.add(part.stream)


def _same_stdin(recorded: str, note: Callable[[bytes], object], *, to_its_end: bool) -> bool:
    """Read as much as was recorded; its end only if that was seen, as callers may keep it open."""
    wanted = _encoded(recorded)
    found = b""
    with suppress(OSError):
        while to_its_end or len(found) < len(wanted):
            data = os.read(0, max(len(wanted) - len(found), 1))
            found += data
            if not data or not wanted.startswith(found):
                break
    note(found)
    return found == wanted


def _leave_files(
    folder: str, call: RecordedCall, argv: Sequence[str], cwd: str, version: str
) -> None:
    """Write and remove what the call did, all of it or nothing.

    Raises OutsideError for what is none of its files, or outside the test's own folders.
    """
    line = read(argv, version)
    mounted = note_mounts(folder, line, cwd)
    if not call.files:
        return
    own = OwnFolders.read(folder)
    named = typed_files(line)
    places = []
    for file in call.files:
        real = os.path.realpath(os.path.join(cwd, file.path))
        in_mount = any(real.startswith(f"{host}/") for host in mounted)
        if file.path not in named and not in_mount:
            raise OutsideError(not_its_file(file, "smolvm " + " ".join(masked_argv(argv))))
        place = own.place(os.path.join(cwd, file.path))
        place.check(file)
        places.append((file, place, in_mount))
    for file, place, in_mount in places:
        try:
            place.put(file, _content(file), make_folders=in_mount)
        except OSError as error:
            raise OutsideError(f"{place.path} cannot be written: {error.strerror}") from None


def _content(file: WrittenFile) -> bytes:
    if file.content is not None:
        return _encoded(file.content)
    return (
        f"a file of {file.size} bytes, SHA-256 {file.sha256}, too large for a cassette\n".encode()
    )


def _end(call: RecordedCall) -> tuple[int, bytes]:
    if call.killed is not None:
        # It went on until the caller lost patience, so it does again.
        _wait_for(signal.Signals[call.killed], dies=call.exit is None)
    stderr = "".join(part.text for part in call.output if part.stream == "stderr")
    return -signal.Signals[call.signal] if call.signal else call.exit or 0, _encoded(stderr)


def _wait_for(number: signal.Signals, *, dies: bool) -> None:
    if dies:
        while True:
            signal.pause()
    signal.pthread_sigmask(signal.SIG_BLOCK, [number])
    signal.sigwait([number])


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
