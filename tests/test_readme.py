"""What the README shows runs as it stands, and what it says of the code is so."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import smolvm_wrapper
from fake_smolvm import grammars
from smolvm_wrapper import AsyncSmolvm, Smolvm

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
FIRST_TEST, WRAPPER = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
PROSE = re.sub(r"```python\n.*?```", "", README, flags=re.DOTALL)
SET_APART = re.findall(r"^    (\S.*)$", PROSE, flags=re.MULTILINE)
INLINE = re.findall(r"`((?:python|pip|pytest) [^`]+)`", PROSE.replace("\n", " "))
CI_RUN = (ROOT / ".ci/run").read_text(encoding="utf-8")

# What `.ci/run` runs, as it takes its time or fetches packages: the lines that are set apart, and
LEFT_TO_CI = ["python benchmarks/startup.py"]
# what needs a copy of smolvm's own sources.
LEFT_OUT = ["python benchmarks/upstream_suites.py PATH"]
# And one says no: smolvm 1.4.0 refuses the line that is asked about.
REFUSED = "python -m fake_smolvm check -- machine create box"
HERE = [line for line in INLINE if line not in LEFT_TO_CI + LEFT_OUT]


def test_the_first_test_passes(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(FIRST_TEST)
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_the_wrappers_example_runs(pytester: pytest.Pytester) -> None:
    body = "".join(f"    {line}\n" for line in WRAPPER.splitlines())
    pytester.makepyfile(f"def test_example(smolvm):\n{body}")
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_every_command_is_run_by_somebody() -> None:
    assert len(SET_APART) == 2
    for number, line in enumerate(SET_APART, 1):
        assert line.startswith("python3 -m venv .venv && ")
        assert f'"$(readme_command {number})"' in CI_RUN
    assert {*LEFT_TO_CI, *LEFT_OUT, REFUSED} < set(INLINE)
    assert len(HERE) >= 3
    (benchmarks,) = re.findall(r"^for benchmark in (.*); do$", CI_RUN, flags=re.MULTILINE)
    named = re.search(r"`python benchmarks/startup.py`, (.*?) print the ratios", PROSE)
    assert named
    assert ["startup", *re.findall(r"`(\w+)\.py`", named[1])] == benchmarks.split()
    assert (ROOT / LEFT_OUT[0].split()[1]).is_file()


@pytest.mark.parametrize("line", HERE)
def test_command(line: str, tmp_path: Path) -> None:
    programs = Path(sys.executable).parent
    done = subprocess.run(
        ["sh", "-c", line],
        cwd=tmp_path,
        # Without a package index: what `pip` is to install must be installed.
        env={
            "PATH": f"{programs}{os.pathsep}{os.defpath}",
            "HOME": str(tmp_path),
            "PIP_NO_INDEX": "1",
        },
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == (line == REFUSED), done.stdout + done.stderr
    assert ("1.4.0: refused" in done.stdout) == (line == REFUSED)
    assert "WARNING: " not in done.stderr, "such as an extra that does not exist"
    if "install DIR" in line:
        assert os.access(tmp_path / "DIR" / "smolvm", os.X_OK)


def test_options_are_there(pytester: pytest.Pytester) -> None:
    options = set(re.findall(r"`(--smolvm[\w-]*)", PROSE))
    assert len(options) >= 3
    shown = pytester.runpytest_subprocess("--help").stdout.str()
    assert options <= set(re.findall(r"--[\w-]+", shown))


def test_what_it_points_to_is_there() -> None:
    links = re.findall(r"\]\((?!http)([^)]+)\)", README)
    files = re.findall(r"`((?:tests|benchmarks|cassettes)/[\w./]+|\w+\.md|\.ci/run)`", PROSE)
    assert len(links) == 4
    assert len(files) >= 3
    for path in links + files:
        assert (ROOT / path).exists(), path


def test_functions_and_commands_are_as_many_as_it_says() -> None:
    grammar = json.loads((Path(grammars.__file__).parent / "0.8.0.json").read_text("utf-8"))
    commands = {
        path.replace(" ", "_").replace("-", "_")
        for path, command in grammar["commands"].items()
        if not command.get("subcommand_required") and not path.startswith("_")
    }
    functions = commands & set(smolvm_wrapper.__all__)
    assert (len(functions), len(commands)) == (7, 30)
    assert "seven of 0.8.0's thirty commands" in README
    assert "for seven commands of smolvm 0.8.0" in CHANGELOG
    told = PROSE[PROSE.index("seven of 0.8.0's thirty") :]
    assert functions == set(re.findall(r"`(\w+_\w+)`", told[: told.index(". ")]))

    for client in (Smolvm, AsyncSmolvm):
        assert {name for name in commands if not name.startswith("serve")} <= set(dir(client))


def test_variables_are_the_ones_that_are_read() -> None:
    told = set(re.findall(r"`\$?(FAKE_SMOLVM_\w+)", README))
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "fake_smolvm").rglob("*.py")]
    read = {
        name for text in sources for name in re.findall(r"FAKE_SMOLVM_[A-Z]+(?:_[A-Z]+)*", text)
    }
    assert told == read
