"""How many tests of smolvm's own shell suites pass on the fake.

    python benchmarks/upstream_suites.py PATH [SUITE ...] [--logs DIR]

PATH is the `tests` folder of a copy of smolvm at the version emulated (v0.8.0); nothing of it is
part of this project. Each suite runs in a HOME of its own, with the fake as `$SMOLVM`.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SUITES = (
    "cli",
    "machine_bare",
    "machine_image",
    "machine_run",
    "resize",
    "resources",
    "smolfile",
    "storage",
    "volumes",
    "ports",
    "db",
    "pack",
)
TARGET = 0.9
TIMEOUT_SECONDS = 1800

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_VERDICT = re.compile(r"^\[(PASS|FAIL)\] (.*)$", re.MULTILINE)


def main() -> int:
    """Run the suites asked for; 0 if the target is met."""
    parser = argparse.ArgumentParser(description="smolvm's own shell suites, on the fake")
    parser.add_argument("tests", type=Path, help="the tests folder of a copy of smolvm")
    parser.add_argument("suites", nargs="*", default=SUITES)
    parser.add_argument("--logs", type=Path, help="where each suite's output is kept")
    arguments = parser.parse_args()
    passed = total = 0
    for suite in arguments.suites:
        started = time.monotonic()
        output = run(arguments.tests / f"test_{suite}.sh")
        if arguments.logs:
            arguments.logs.mkdir(parents=True, exist_ok=True)
            (arguments.logs / f"{suite}.log").write_text(output, encoding="utf-8")
        verdicts = _VERDICT.findall(output)
        good = sum(verdict == "PASS" for verdict, _ in verdicts)
        print(f"{suite:15} {good:3} of {len(verdicts):3}  {time.monotonic() - started:6.1f} s")
        for verdict, name in verdicts:
            if verdict == "FAIL":
                print(f"{'':15} fails: {name}")
        passed += good
        total += len(verdicts)
    print(f"{'all':15} {passed:3} of {total:3}  {passed / total:.1%}")
    return 0 if passed >= TARGET * total else 1


def run(script: Path) -> str:
    """Give what a suite prints, without its colours."""
    with tempfile.TemporaryDirectory(prefix="upstream-") as folder:
        home = Path(folder)
        subprocess.run(
            [sys.executable, "-m", "fake_smolvm", "install", str(home / "bin")],
            stdout=subprocess.DEVNULL,
            check=True,
        )
        env = {
            "PATH": f"{home / 'bin'}:{os.environ['PATH']}",
            "HOME": folder,
            "TMPDIR": folder,
            "SMOLVM": str(home / "bin" / "smolvm"),
            # Some need one; nobody talks to it.
            "SSH_AUTH_SOCK": str(home / "agent.sock"),
            # Without this each suite first kills every process that is called smolvm.
            "SMOLVM_ORCHESTRATED": "1",
        }
        try:
            done = subprocess.run(
                ["bash", str(script.resolve())],
                cwd=script.resolve().parents[1],  # Some mount `./src` of the copy.
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=TIMEOUT_SECONDS,
                check=False,
            )
            output = done.stdout
        except subprocess.TimeoutExpired as error:
            output = (error.stdout or b"") + b"\n[FAIL] the suite itself: it does not end\n"
    return _COLOUR.sub("", output.decode("utf-8", "replace"))


if __name__ == "__main__":
    sys.exit(main())
