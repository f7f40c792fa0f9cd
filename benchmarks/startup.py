"""How long the fake takes to start: ratios to a bare interpreter, medians of interleaved runs.

Exits with 1 when a target is missed. The targets are the issue's: a usage error and `--version` at
most 1.5 times `python -I -c pass`, one parsed `machine exec` line at most 50 microseconds.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import timeit
from time import perf_counter
from typing import TYPE_CHECKING

from fake_smolvm import grammars
from fake_smolvm.clap.parser import parse
from fake_smolvm.entry import VALUE_PARSERS
from fake_smolvm.install import install

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROUNDS = 100
MOST_TIMES_BARE = 1.5
MOST_MICROSECONDS = 50
PARSES = 2000
EXEC = ["machine", "exec", "--name", "m", "-e", "A=b", "-w", "/x", "--", "sh", "-c", "echo hi"]


def _seconds(command: Sequence[str], folder: str) -> float:
    start = perf_counter()
    subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env={**os.environ, "HOME": folder},
        check=False,
    )
    return perf_counter() - start


def process_medians(commands: Mapping[str, Sequence[str]], folder: str) -> dict[str, float]:
    """Time each command, and a bare interpreter, in turn; give the ratios to the latter."""
    commands = {"bare": [sys.executable, "-I", "-c", "pass"], **commands}
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(ROUNDS):
        for name, command in commands.items():
            times[name].append(_seconds(command, folder))
    medians = {name: statistics.median(taken) for name, taken in times.items()}
    bare = medians.pop("bare")
    print(f"bare interpreter: {bare * 1e3:.1f} ms, median of {ROUNDS}")
    return {name: median / bare for name, median in medians.items()}


def _parse_microseconds() -> float:
    grammar = grammars.load("0.8.0")
    taken = timeit.repeat(lambda: parse(grammar, EXEC, VALUE_PARSERS), number=PARSES, repeat=5)
    return statistics.median(taken) / PARSES * 1e6


def _main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        smolvm = str(install(folder))
        ratios = process_medians(
            {
                "usage error": [smolvm, "machine", "exec", "--nme", "m"],
                "--version": [smolvm, "--version"],
            },
            folder,
        )
    for name, ratio in ratios.items():
        print(f"{name}: {ratio:.2f} times that (at most {MOST_TIMES_BARE})")
    microseconds = _parse_microseconds()
    print(f"parse of one exec line: {microseconds:.1f} us (at most {MOST_MICROSECONDS})")
    return int(max(ratios.values()) > MOST_TIMES_BARE or microseconds > MOST_MICROSECONDS)


if __name__ == "__main__":
    sys.exit(_main())
