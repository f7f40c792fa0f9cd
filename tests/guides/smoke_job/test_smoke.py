import pathlib
import subprocess

import pytest

RUNNER = pathlib.Path(__file__).with_name("runner.sh")


def run(*command):
    argv = ["sh", RUNNER, "smoke", *command]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def test_output_comes_back(smolvm):
    done = run("echo", "hello")
    assert (done.returncode, done.stdout) == (0, "hello\n")


def test_exit_code_comes_back(smolvm):
    assert run("sh", "-c", "exit 42").returncode == 42


def test_machine_is_gone_afterwards(smolvm):
    assert run("true").returncode == 0
    assert "smoke" not in smolvm.run("machine", "ls", check=True).stdout


@pytest.mark.smolvm("fake")
def test_a_missing_hypervisor_is_reported(smolvm):
    smolvm.kvm_missing()
    done = run("true")
    assert done.returncode == 1
    assert "kvm not available" in done.stderr
