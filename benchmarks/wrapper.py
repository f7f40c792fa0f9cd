"""What the wrapper costs: over a bare `subprocess.run`, and to import.

Medians of interleaved runs. Exits with 1 when a target is missed. The targets are the issue's: at
most 5 % over a bare run of the same argv, and an import at most 1.3 times that of `subprocess`.
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

from smolvm_wrapper import Smolvm, smolvm

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 300
MOST_OVERHEAD = 1.05
MOST_IMPORT = 1.3
ARGV = ["machine", "exec", "--name", "vm", "-e", "A=b", "--", "true"]


def _medians(candidates: dict[str, Callable[[], object]]) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(ROUNDS):
        for name, candidate in candidates.items():
            start = perf_counter()
            candidate()
            times[name].append(perf_counter() - start)
    return {name: statistics.median(taken) for name, taken in times.items()}


def _runs() -> dict[str, float]:
    client = Smolvm(version="0.8.0")
    return _medians(
        {
            "subprocess.run": lambda: subprocess.run(
                ["smolvm", *ARGV], capture_output=True, check=False
            ),
            "Smolvm().machine_exec": lambda: client.machine_exec("vm", ["true"], env={"A": "b"}),
            "smolvm.machine_exec": lambda: smolvm.machine_exec("vm", ["true"], env={"A": "b"}),
        }
    )


def _imports() -> dict[str, float]:
    def seconds(module: str) -> Callable[[], object]:
        return lambda: subprocess.run([sys.executable, "-c", f"import {module}"], check=True)

    medians = _medians(
        {module: seconds(module) for module in ("sys", "subprocess", "smolvm_wrapper")}
    )
    bare = medians.pop("sys")
    return {module: taken - bare for module, taken in medians.items()}


def _report(title: str, medians: dict[str, float], at_most: float) -> bool:
    print(title)
    base = next(iter(medians.values()))
    for name, taken in medians.items():
        print(f"  {name:24}{taken * 1000:8.3f} ms  {taken / base:5.2f}")
    return max(medians.values()) <= base * at_most


def main() -> int:
    """Measure with a program as quick as the quickest command of the real 0.8.0, some 4 ms."""
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, "smolvm")
        program.write_text("#!/bin/sh\nexec sleep 0.002\n")
        program.chmod(0o755)
        os.environ["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"
        good = _report("one command", _runs(), MOST_OVERHEAD)
    return 0 if good & _report("import", _imports(), MOST_IMPORT) else 1


if __name__ == "__main__":
    sys.exit(main())
