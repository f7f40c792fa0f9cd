"""What a guide tells its reader to do is done: its files copied, its lines run as they stand."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GUIDES = Path(__file__).parent
PROGRAMS = Path(sys.executable).parent
"""Where `pip install 'smolvm-wrapper[testing]'` has put `pytest`."""
TIMEOUT_SECONDS = 500


class Reader:
    """One who follows a guide to the letter, in a folder of their own."""

    def __init__(self, guide: str, place: Path) -> None:
        self.guide = GUIDES / guide
        self.text = (self.guide / "README.md").read_text(encoding="utf-8")
        self.folder = place / "project"
        self.folder.mkdir()
        self.programs = place / "bin"
        self.programs.mkdir()
        (home := place / "home").mkdir()
        # What this project's own run sets, such as options and the workers of pytest-xdist, is not
        # there; nor is a package index: what `pip` is to install must be installed.
        path = os.pathsep.join([str(self.programs), str(PROGRAMS), os.defpath])
        self.env = {"PATH": path, "HOME": str(home), "PIP_NO_INDEX": "1"}

    def copies(self) -> list[str]:
        """Copy the files that the guide names where it says so."""
        (told,) = [part for part in self.text.split("\n\n") if "Copy `" in part]
        names = re.findall(r"`([\w.]+\.\w+)`", told[told.index("Copy `") :])
        for name in names:
            shutil.copy(self.guide / name, self.folder)
        return names

    def lines(self) -> Iterator[str]:
        """Give the guide's command lines: what is set apart, and is no copied file."""
        for block in re.findall(r"(?:^    .*\n)+", self.text, flags=re.MULTILINE):
            code = block.replace("    ", "")
            if code not in [path.read_text("utf-8") for path in self.folder.glob("*.*")]:
                yield from code.splitlines()

    def runs(self, line: str) -> subprocess.CompletedProcess[str]:
        """Run a line in a shell, as it stands."""
        return subprocess.run(
            ["sh", "-c", line],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )

    def succeeds(self, line: str) -> str:
        """Run a line that has to end well, and give what it said."""
        done = self.runs(line)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def installs(self, *, refusing: str = "") -> Path:
        """Put a stand-in for the real smolvm on PATH: a fake that hides it.

        It refuses one command (`machine stop`), as one of another version would.
        """
        inner = self.programs.parent / "inner"
        subprocess.run([sys.executable, "-m", "fake_smolvm", "install", inner], check=True)
        refusal = f'"{refusing} "*) echo "error: unexpected argument" >&2; exit 2;;'
        script = f"""\
            #!/bin/sh
            case "$* " in
              "--version ") echo "smolvm 0.8.0";;
              {refusal if refusing else ""}
              *) exec {inner}/smolvm "$@";;
            esac
            """
        path = self.programs / "smolvm"
        path.write_text(re.sub(r"^ {12}", "", script, flags=re.MULTILINE), encoding="utf-8")
        path.chmod(0o755)
        return path


@pytest.fixture
def reader(tmp_path: Path) -> Callable[[str], Reader]:
    return lambda guide: Reader(guide, tmp_path)


def steps_of(workflow: Path) -> list[str]:
    """Give a workflow's shell lines."""
    return re.findall(r"^ *- run: (.*)$", workflow.read_text(encoding="utf-8"), re.MULTILINE)


def passed(said: str) -> int:
    """Give how many tests passed, by pytest's last line."""
    found = re.search(r"(\d+) passed", said.splitlines()[-1])
    return int(found[1]) if found else 0


def test_unit_ci(reader: Callable[[str], Reader]) -> None:
    it = reader("unit_ci")
    assert it.copies() == ["builder.py", "test_builder.py", "ci.yml"]
    (line,) = it.lines()
    assert "6 passed" in it.succeeds(line)
    for step in steps_of(it.folder / "ci.yml"):
        assert "WARNING" not in it.succeeds(step)
    left = {path.name for path in it.folder.iterdir()} - {".pytest_cache", "__pycache__"}
    assert left == {"builder.py", "test_builder.py", "ci.yml"}


def test_unit_ci_notices_a_missing_stop(reader: Callable[[str], Reader]) -> None:
    it = reader("unit_ci")
    it.copies()
    builder = it.folder / "builder.py"
    text = builder.read_text(encoding="utf-8")
    stop = '        _smolvm("machine", "stop", "--name", name)\n'
    assert stop in text
    builder.write_text(text.replace(stop, ""), encoding="utf-8")
    done = it.runs(*it.lines())
    assert done.returncode == 1
    assert "H3: delete of a running machine" in done.stdout


@pytest.mark.parametrize(
    ("command", "unconcerned"),
    # The tests of machines that do not start never come to a cp or an exec.
    {"create": 0, "start": 0, "cp": 3, "exec": 3, "stop": 0, "delete": 0}.items(),
)
def test_unit_ci_notices_what_is_refused(
    reader: Callable[[str], Reader], command: str, unconcerned: int
) -> None:
    it = reader("unit_ci")
    it.copies()
    (it.folder / "conftest.py").write_text(
        "import pytest\n@pytest.fixture(autouse=True)\ndef refuse(fake_smolvm):\n"
        f"    fake_smolvm.fault('machine {command}', rc=2, stderr='error: unexpected argument')\n",
        encoding="utf-8",
    )
    done = it.runs(*it.lines())
    assert done.returncode == 1
    assert passed(done.stdout) == unconcerned, done.stdout


def test_smoke_job(reader: Callable[[str], Reader]) -> None:
    it = reader("smoke_job")
    assert it.copies() == ["runner.sh", "test_smoke.py", "smoke.yml"]
    on_fake, on_real, replayed = it.lines()
    assert "4 passed" in it.succeeds(on_fake)
    real = it.installs()
    assert "4 passed" in it.succeeds(on_real)
    cassettes = sorted(it.folder.glob("cassettes/test_smoke/*.toml"))
    assert len(cassettes) == 3
    assert all('source = "real"' in path.read_text(encoding="utf-8") for path in cassettes)
    real.unlink()
    assert "4 passed" in it.succeeds(replayed)


def test_smoke_jobs_steps(reader: Callable[[str], Reader]) -> None:
    it = reader("smoke_job")
    it.copies()
    real = it.installs().rename(it.folder / "real")
    # What a runner has and this machine may not; and what the reader is told to write.
    theirs = {
        it.programs / "sudo": "#!/bin/sh\n[ $1 = chmod ]\n",
        it.folder / "install-smolvm.sh": f"#!/bin/sh\nmv {real} {it.programs}/smolvm\n",
    }
    for path, script in theirs.items():
        path.write_text(script, encoding="utf-8")
        path.chmod(0o755)
    said = [it.succeeds(step) for step in steps_of(it.folder / "smoke.yml")]
    assert "4 passed" in said[-1]
    assert "smolvm: real 0.8.0" in said[-1]
    assert (it.folder / "report.html").exists(), "what the last step uploads"


@pytest.mark.parametrize(
    ("command", "unconcerned"),
    # One test is for the fake alone; two never ask for a list.
    {"create": 1, "start": 1, "exec": 1, "stop": 1, "delete": 1, "ls": 3}.items(),
)
def test_smoke_job_notices_what_is_refused(
    reader: Callable[[str], Reader], command: str, unconcerned: int
) -> None:
    it = reader("smoke_job")
    it.copies()
    it.installs(refusing=f"machine {command}")
    _, on_real, _ = it.lines()
    done = it.runs(on_real)
    assert done.returncode == 1
    assert passed(done.stdout) <= unconcerned, done.stdout
    assert len(list(it.folder.glob("cassettes/test_smoke/*.toml"))) <= unconcerned - 1


def test_cli_change(reader: Callable[[str], Reader]) -> None:
    it = reader("cli_change")
    assert it.copies() == ["pytest.ini", "test_lines.py"]
    write, check = it.lines()
    assert "3 passed" in it.succeeds(write)
    assert "3 passed" in it.succeeds(check)
    said = {
        path.stem: [
            line.strip()
            for line in path.read_text(encoding="utf-8").splitlines()
            if line.startswith("  ") and not line.startswith("    ")
        ]
        for path in it.folder.glob("__snapshots__/test_lines/*.argv")
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


def test_cli_change_notices_a_verdict(reader: Callable[[str], Reader]) -> None:
    it = reader("cli_change")
    it.copies()
    write, check = it.lines()
    it.succeeds(write)
    (it.folder / "pytest.ini").write_text("[pytest]\nsmolvm_cli_versions = 0.8.0\n", "utf-8")
    assert it.runs(check).returncode == 1
