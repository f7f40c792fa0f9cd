"""What commands on machines cost: ratios to a bare interpreter, medians of interleaved runs.

Exits with 1 when a target is missed: `ls` at most twice, `exec` of a shell command at most three
times a bare interpreter; `ls` of 10,000 machines at most 1.5 times an interpreter that prints the
same output, plus 100 ms.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from startup import process_medians

from fake_smolvm.install import install
from fake_smolvm.machines.paths import Paths
from fake_smolvm.machines.record import Record
from fake_smolvm.machines.store import Store

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_TIMES_BARE = {"ls": 2, "exec of a shell command": 3}
MANY = 10_000
MANY_ROUNDS = 10
MOST_TIMES_PRINTING = 1.5
MORE_MILLISECONDS = 100


def _one_machine() -> bool:
    with tempfile.TemporaryDirectory() as home:
        smolvm = str(install(home))
        env = {**os.environ, "HOME": home}
        for argv in (["create", "box"], ["start", "--name", "box"]):
            subprocess.run([smolvm, "machine", *argv], env=env, check=True, capture_output=True)
        shell = ["exec", "--name", "box", "--", "sh", "-c", "echo hi"]
        ratios = process_medians(
            {
                "ls": [smolvm, "machine", "ls"],
                "exec of a shell command": [smolvm, "machine", *shell],
            },
            home,
        )
    for name, ratio in ratios.items():
        print(f"{name}: {ratio:.2f} times that (at most {MOST_TIMES_BARE[name]})")
    return all(ratio <= MOST_TIMES_BARE[name] for name, ratio in ratios.items())


def _many_machines() -> bool:
    with tempfile.TemporaryDirectory() as home:
        smolvm = str(install(home))
        env = {**os.environ, "HOME": home}
        store = Store(Paths(env))
        for number in range(MANY):
            store.add(Record(f"m{number}", number))
        printed = Path(home, "printed")
        listing = [smolvm, "machine", "ls"]
        printed.write_bytes(
            subprocess.run(listing, env=env, check=True, capture_output=True).stdout
        )
        show = f"import sys; [sys.stdout.write(line) for line in open({str(printed)!r})]"
        taken: dict[str, list[float]] = {"ls": [], "printing": []}
        for _ in range(MANY_ROUNDS):
            taken["ls"].append(_milliseconds(listing, env))
            taken["printing"].append(_milliseconds([sys.executable, "-I", "-c", show], env))
    ls, printing = (statistics.median(times) for times in taken.values())
    most = MOST_TIMES_PRINTING * printing + MORE_MILLISECONDS
    print(f"ls of {MANY} machines: {ls:.0f} ms (at most {most:.0f}; printing alone {printing:.0f})")
    return ls <= most


def _milliseconds(command: Sequence[str], env: dict[str, str]) -> float:
    start = perf_counter()
    subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL)
    return (perf_counter() - start) * 1e3


if __name__ == "__main__":
    sys.exit(not all([_one_machine(), _many_machines()]))
