"""Every command that a guide tells its reader to run is run, in a copy of the guide's files."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

GUIDES = Path(__file__).parent


@pytest.fixture
def copy(pytester: pytest.Pytester) -> Callable[[str], Path]:
    def copy(guide: str) -> Path:
        shutil.copytree(GUIDES / guide, pytester.path, dirs_exist_ok=True)
        return pytester.path

    return copy


def commands_in(guide: str) -> list[list[str]]:
    """Give the arguments of the guide's `pytest` lines."""
    lines = (GUIDES / guide / "README.md").read_text(encoding="utf-8").splitlines()
    indented = [shlex.split(line) for line in lines if line.startswith("    pytest")]
    return [argv[1:] for argv in indented]


def test_unit_ci(pytester: pytest.Pytester, copy: Callable[[str], Path]) -> None:
    folder = copy("unit_ci")
    assert commands_in("unit_ci") == [[]]
    pytester.runpytest_subprocess("--snapshot-update").assert_outcomes(passed=6)
    pytester.runpytest_subprocess().assert_outcomes(passed=6)
    (snapshot,) = folder.glob("__snapshots__/*/*.argv")
    assert "    TOKEN=***\n" in snapshot.read_text(encoding="utf-8")
    text = (folder / "builder.py").read_text(encoding="utf-8")
    stop = '        _smolvm("machine", "stop", "--name", name)\n'
    assert stop in text
    (folder / "builder.py").write_text(text.replace(stop, ""), encoding="utf-8")
    broken = pytester.runpytest_subprocess()
    assert broken.ret == 1
    broken.stdout.fnmatch_lines(["*H3: delete of a running machine*"])


def test_smoke_job(pytester: pytest.Pytester, copy: Callable[[str], Path], tmp_path: Path) -> None:
    copy("smoke_job")
    on_fake, on_real, replayed = commands_in("smoke_job")
    pytester.runpytest_subprocess(*on_fake).assert_outcomes(passed=4)
    # A stand-in for the real one, which cannot be had everywhere: a fake that hides it.
    real = tmp_path / "smolvm"
    real.write_text(STAND_IN, encoding="utf-8")
    real.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SMOLVM_BINARY", str(real))
        pytester.runpytest_subprocess(*on_real).assert_outcomes(passed=4)
    assert len(list(pytester.path.glob("cassettes/test_smoke/*.toml"))) == 3
    pytester.runpytest_subprocess(*replayed).assert_outcomes(passed=4)


STAND_IN = """\
#!/bin/sh
case "$*" in
  --version) echo "smolvm 0.8.0";;
  "machine create "*) echo "Created machine: $3";;
  "machine start --name "*) echo "Machine '$4' running (PID: $$)";;
  "machine exec --name smoke -- "*) shift 5; exec "$@";;
  "machine ls --json") echo "[]";;
  "machine ls") echo "No machines found";;
esac
"""


def test_cli_change(pytester: pytest.Pytester, copy: Callable[[str], Path]) -> None:
    folder = copy("cli_change")
    write, check = commands_in("cli_change")
    pytester.runpytest_subprocess(*write).assert_outcomes(passed=3)
    pytester.runpytest_subprocess(*check).assert_outcomes(passed=3)
    said = {
        path.stem: [
            line.strip()
            for line in path.read_text(encoding="utf-8").splitlines()
            if line.startswith("  ") and not line.startswith("    ")
        ]
        for path in folder.glob("__snapshots__/test_lines/*.argv")
    }
    assert said["test_lines_of_today"] == [
        "0.8.0: accepted", "1.4.0: refused: unexpected argument 'box' found"
    ] * 2  # fmt: skip
    assert said["test_lines_that_mean_something_else"][0].startswith(
        "0.8.0: accepted, with another meaning: the egress list is dropped"
    )
    assert said["test_lines_of_a_later_version"] == [
        "0.8.0: refused: unexpected argument '--name' found", "1.4.0: accepted"
    ] * 2  # fmt: skip
    ini = (folder / "pytest.ini").read_text(encoding="utf-8")
    assert ini in (folder / "README.md").read_text(encoding="utf-8").replace("    ", "") + "\n"
