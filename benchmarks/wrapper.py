"""What the wrapper costs: over a bare `subprocess.run`, and to import, as users write it.

Medians of interleaved runs. Exits with 1 when a target is missed. The targets are the issues': at
most 5 % over a bare run of the same argv; an import at most twice that of `subprocess`, and that of
the async client at most one and a half times that of `asyncio`, which it cannot do without. Imports
are those of an installed package: compiled, as pip leaves them.
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
IMPORT_ROUNDS = 60
MOST_OVERHEAD = 1.05
IMPORTS = {
    ("import subprocess", 2.0): (
        "import smolvm_wrapper",
        "from smolvm_wrapper import SmolvmError, UsageError",
        "from smolvm_wrapper import machine_exec, machine_start",
        "from smolvm_wrapper import Smolvm",
        "from smolvm_wrapper import Guards, Smolvm; Smolvm(version='0.8.0').machine('vm')",
    ),
    ("import asyncio", 1.5): ("from smolvm_wrapper import AsyncSmolvm",),
}
ARGV = ["machine", "exec", "--name", "vm", "-e", "A=b", "--", "true"]


def _medians(candidates: dict[str, Callable[[], object]], rounds: int = ROUNDS) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
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


def _imports(statements: tuple[str, ...], compiled: str) -> dict[str, float]:
    env = {**os.environ, "PYTHONPYCACHEPREFIX": compiled}
    env.pop("PYTHONDONTWRITEBYTECODE", None)

    def running(statement: str) -> Callable[[], object]:
        return lambda: subprocess.run([sys.executable, "-c", statement], check=True, env=env)

    runs = {statement: running(statement) for statement in ("pass", *statements)}
    _medians(runs, 1)  # compiles
    medians = _medians(runs, IMPORT_ROUNDS)
    bare = medians.pop("pass")
    return {statement: taken - bare for statement, taken in medians.items()}


def _report(title: str, medians: dict[str, float], at_most: float) -> bool:
    print(title)
    base = next(iter(medians.values()))
    for name, taken in medians.items():
        print(f"  {name:82}{taken * 1000:8.3f} ms  {taken / base:5.2f}")
    return max(medians.values()) <= base * at_most


def main() -> int:
    """Measure with a program as quick as the quickest command of the real 0.8.0, some 4 ms."""
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, "smolvm")
        program.write_text("#!/bin/sh\nexec sleep 0.002\n")
        program.chmod(0o755)
        os.environ["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"
        good = _report("one command", _runs(), MOST_OVERHEAD)
        for (base, at_most), statements in IMPORTS.items():
            medians = _imports((base, *statements), folder)
            good &= _report(f"import, at most {at_most}", medians, at_most)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
