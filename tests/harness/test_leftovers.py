"""Calls that are still running when a test is over: ended, and told of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psutil
import pytest

from fake_smolvm.harness.verdicts import leftovers

if TYPE_CHECKING:
    from pathlib import Path

LEFT = """
import os, pathlib, subprocess, pytest

@pytest.fixture(params=["smolvm", "fake_smolvm"], autouse=True)
def vm(request):
    vm = request.getfixturevalue(request.param)
    vm.hang("machine ls")
    return vm

def noted(pid):
    with open("pids", "a") as file:
        print(pid, file=file)

def seen(vm):
    while not vm.calls:
        pass

{}
"""

WAYS = {
    "a process that nobody waits for": """
def test_it(vm):
    noted(subprocess.Popen(["smolvm", "machine", "ls"]).pid)
""",
    "a shell that is killed alone": """
def test_it(vm):
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run("smolvm machine ls & echo $! >> pids; wait", shell=True, timeout=1)
    seen(vm)
""",
    "a worker that is killed alone": """
def test_it(vm):
    pid = os.fork()
    if pid == 0:
        process = subprocess.Popen(["smolvm", "machine", "ls"])
        noted(process.pid)
        os._exit(process.wait())
    seen(vm)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
""",
}


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makeconftest(
        "from fake_smolvm.harness.verdicts import leftovers\nleftovers.PATIENCE_SECONDS = 0.1\n"
    )
    return pytester


def pids(folder: Path) -> list[int]:
    return [int(line) for line in (folder / "pids").read_text(encoding="utf-8").split()]


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_it_is_ended_and_the_test_told(project: pytest.Pytester, way: str) -> None:
    project.makepyfile(LEFT.format(way))
    result = project.runpytest_subprocess("-W", "ignore")
    result.assert_outcomes(passed=2, errors=2)
    result.stdout.fnmatch_lines(
        [
            "process: still running when the test was over, and killed:",
            "           smolvm machine ls",
            "  instead: wait for it, or kill it; *",
            'on purpose? @pytest.mark.smolvm_allows("process", reason=...)',
        ]
    )
    left = pids(project.path)
    assert len(left) == 2
    assert not [pid for pid in left if leftovers.running([pid], "bin/smolvm")]


def test_failed_test_is_not_told_but_cleaned_up_after(project: pytest.Pytester) -> None:
    project.makepyfile(LEFT.format(WAYS["a process that nobody waits for"] + "    assert False\n"))
    project.runpytest_subprocess("-W", "ignore").assert_outcomes(failed=2)
    assert not [pid for pid in pids(project.path) if psutil.pid_exists(pid) and _is_alive(pid)]


def _is_alive(pid: int) -> bool:
    return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_allowed(project: pytest.Pytester) -> None:
    marker = '@pytest.mark.smolvm_allows("process", reason="a daemon")'
    project.makepyfile(LEFT.format(marker + WAYS["a process that nobody waits for"]))
    project.runpytest_subprocess("-W", "ignore").assert_outcomes(passed=2)
    assert not [pid for pid in pids(project.path) if psutil.pid_exists(pid) and _is_alive(pid)]


def test_one_that_ends_by_itself_is_none(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import subprocess, pytest

        @pytest.mark.parametrize("name", ["smolvm", "fake_smolvm"])
        def test_it(request, name):
            smolvm = request.getfixturevalue(name)
            smolvm.delay(0.3, "machine ls")
            subprocess.Popen(["smolvm", "machine", "ls"])
        """
    )
    pytester.runpytest_subprocess("-W", "ignore").assert_outcomes(passed=2)


def test_a_stranger_with_its_number_is_left_alone(tmp_path: Path) -> None:
    stranger = psutil.Process().pid
    assert leftovers.running([stranger], str(tmp_path)) == []
    with psutil.Popen(["sleep", "60"]) as sleeper:
        leftovers.kill([], str(tmp_path))
        assert sleeper.is_running()
        sleeper.kill()
