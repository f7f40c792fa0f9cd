"""The `smolvm` that a test finds on PATH when it plays a cassette: says what was recorded.

Which recordings are played already is kept in the sandbox, one file each, as calls come from any
number of processes. Every recording is played once. For one machine they are played in the order
recorded; between machines, and for commands that are about none, the order is free.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
from ast import literal_eval
from difflib import SequenceMatcher, ndiff
from pathlib import Path
from typing import TYPE_CHECKING

from fake_smolvm.harness.cassette import Cassette, RecordedCall, map_text
from fake_smolvm.harness.inside import keep_inside
from fake_smolvm.harness.journal import Head, Journal, surroundings
from fake_smolvm.harness.naming import Bindings
from fake_smolvm.harness.reading import read
from fake_smolvm.harness.secrets import masked_argv

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PLAYED_FOLDER = "played"
BINDINGS = "bindings"
"""A file in the sandbox: what the cassette's names stand for, as far as that is known."""
NOT_RECORDED = "not-recorded"
"""A file in the sandbox that holds, one after the other, what calls could not be answered."""

EXIT_NOT_RECORDED = 70
"""EX_SOFTWARE: no smolvm says that."""


def main(folder: str, outside: Mapping[str, Sequence[str]], cassette: str) -> int:
    """Answer this process's argv from the cassette; give the exit code."""
    journal = Journal(folder)
    noted = journal.start(os.getpid(), sys.argv, os.getcwd(), surroundings())
    keep_inside(os.environ, folder, outside)
    stdout = b""
    recorded = Cassette.load(Path(cassette))
    chosen = _choose(Path(folder), recorded, sys.argv[1:])
    if isinstance(chosen, str):
        code, stderr = _refuse(folder, chosen)
    else:
        stdout = _say(chosen)
        if _same_stdin(chosen):
            code, stderr = _end(chosen)
        else:
            what = masked_argv(sys.argv[1:])
            code, stderr = _refuse(
                folder, "\n".join(["got another stdin than was recorded:", *_indented(what)])
            )
    journal.end(noted, code, Head(stderr), Head(stdout))
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code


def unplayed(folder: Path, cassette: Cassette) -> list[RecordedCall]:
    """Give the recordings that no call asked for."""
    return [
        call
        for number, call in enumerate(cassette.calls)
        if not (folder / PLAYED_FOLDER / str(number)).exists()
    ]


def _choose(folder: Path, cassette: Cassette, argv: list[str]) -> RecordedCall | str:
    """Find the recording to play, and take it; or say why there is none."""
    played = folder / PLAYED_FOLDER
    machines = [read(call.argv, cassette.version).machine for call in cassette.calls]
    with open(folder / "replay.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        bound = folder / BINDINGS
        values: dict[str, str] = literal_eval(bound.read_text(encoding="utf-8"))
        bindings = Bindings(values)
        blocked: set[str] = set()
        waiting: int | None = None
        for number, call in enumerate(cassette.calls):
            if (played / str(number)).exists():
                continue
            machine = machines[number]
            found = bindings.match(call.argv, argv)
            if found is not None and machine in blocked:
                waiting = number if waiting is None else waiting
            elif found is not None:
                (played / str(number)).touch()
                values |= found
                bound.write_text(repr(values), encoding="utf-8")
                return map_text(call, bindings.fill)
            if machine is not None:
                blocked.add(machine)
        left = [number for number in range(len(machines)) if not (played / str(number)).exists()]
        if waiting is not None:
            before = next(number for number in left if machines[number] == machines[waiting])
            return _too_early(argv, cassette.calls[before])
        return _not_recorded(argv, [cassette.calls[number] for number in left], bindings)


def _too_early(argv: list[str], before: RecordedCall) -> str:
    lines = ["called too early:", *_indented(masked_argv(argv))]
    lines += ["before it, this was recorded for the same machine:", *_indented(before.argv)]
    return "\n".join(lines)


def _not_recorded(argv: list[str], left: list[RecordedCall], bindings: Bindings) -> str:
    asked = masked_argv(argv)
    if not left:
        return "\n".join(["called after the last recording was played:", *_indented(asked)])
    nearest = max(left, key=lambda call: SequenceMatcher(None, call.argv, asked).ratio())
    recorded = masked_argv([bindings.fill(word) for word in nearest.argv])
    return "\n".join(
        ["not recorded; the nearest recording (-) and the call (+):"]
        + [f"  {line}" for line in ndiff(recorded, asked) if not line.startswith("?")]
    )


def _indented(argv: Sequence[str]) -> list[str]:
    return [f"    {word}" for word in argv]


def _refuse(folder: str, why: str) -> tuple[int, bytes]:
    sys.stderr.write(f"smolvm (replay): {why}\n")
    with open(os.path.join(folder, NOT_RECORDED), "a", encoding="utf-8") as file:
        file.write(f"{why}\n")
    return EXIT_NOT_RECORDED, why.encode()


def _say(call: RecordedCall) -> bytes:
    """Say all that was recorded; return what of it was for stdout."""
    for part in call.output:
        rest = memoryview(part.text.encode("utf-8", "surrogateescape"))
        try:
            while rest:
                rest = rest[os.write(1 if part.stream == "stdout" else 2, rest) :]
        except BrokenPipeError:
            break
    said = "".join(part.text for part in call.output if part.stream == "stdout")
    return said.encode("utf-8", "surrogateescape")


def _same_stdin(call: RecordedCall) -> bool:
    """Read as much as was recorded; the caller need not close its end before that."""
    if call.stdin is None:
        return True
    wanted = call.stdin.encode("utf-8", "surrogateescape")
    return sys.stdin.buffer.read(len(wanted)) == wanted


def _end(call: RecordedCall) -> tuple[int, bytes]:
    for file in call.files:
        path = Path(file.path)
        if file.content is not None:
            path.write_bytes(file.content.encode("utf-8", "surrogateescape"))
        elif file.sha256 is not None:
            path.write_text(
                f"a file of {file.size} bytes, SHA-256 {file.sha256}, too large for a cassette\n",
                encoding="utf-8",
            )
        else:
            path.unlink(missing_ok=True)
    if call.killed is not None:
        # It went on until the caller lost patience, so it does again.
        _wait_for(signal.Signals[call.killed], dies=call.exit is None)
    stderr = "".join(part.text for part in call.output if part.stream == "stderr")
    said = stderr.encode("utf-8", "surrogateescape")
    return -signal.Signals[call.signal] if call.signal else call.exit or 0, said


def _wait_for(number: signal.Signals, *, dies: bool) -> None:
    if dies:
        while True:
            signal.pause()
    signal.pthread_sigmask(signal.SIG_BLOCK, [number])
    signal.sigwait([number])
