"""The flat functions: a contract that other people's mocks rely on, to the letter."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

import smolvm_wrapper
from smolvm_wrapper import (
    EgressNotEnforcedWarning,
    SmolvmError,
    SmolvmRunResult,
    UsageError,
    smolvm,
)

if TYPE_CHECKING:
    from pytest_subprocess import FakeProcess
    from syrupy.assertion import SnapshotAssertion

REPOSITORY = Path(__file__).parents[3]
CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("pack_create", ("alpine:3", "out"), {}),
    ("machine_create", ("vm",), {}),
    ("machine_create", ("vm",), {"from_path": "a.smolmachine"}),
    ("machine_create", ("vm",), {"allow_cidrs": ["10.0.0.0/8", "1.1.1.1/32"]}),
    ("machine_create", ("vm",), {"env": {"A": "b", "C": "d=e f"}}),
    (
        "machine_create",
        ("vm",),
        {"from_path": "a.smolmachine", "allow_cidrs": ["10.0.0.0/8"], "env": {"A": "b"}},
    ),
    ("machine_start", ("vm",), {}),
    ("machine_stop", ("vm",), {}),
    ("machine_delete", ("vm",), {}),
    ("machine_exec", ("vm", ["true"]), {}),
    ("machine_exec", ("vm", ["sh", "-c", "echo $X"]), {"env": {"X": "y"}}),
    ("machine_exec", ("vm", ["true"]), {"workdir": "/srv"}),
    ("machine_exec", ("vm", ["true"]), {"timeout": 30}),
    ("machine_exec", ("vm", ["true"]), {"timeout": 30.0}),
    ("machine_exec", ("vm", ["true"]), {"timeout": 1.5}),
    ("machine_exec", ("vm", ["true"]), {"timeout": timedelta(minutes=2)}),
    ("machine_exec", ("vm", ["true"]), {"timeout": "1m 30s"}),
    (
        "machine_exec",
        ("vm", ["--", "-x"]),
        {"env": {"A": "b", "C": ""}, "workdir": "/srv", "timeout": "5s"},
    ),
    ("machine_cp", ("a", "vm:/b"), {}),
    ("machine_cp", ("vm:/b", "a"), {}),
]


def ended(returncode: int = 0, stdout: Any = "", stderr: Any = "") -> Any:
    return subprocess.CompletedProcess(["smolvm"], returncode, stdout, stderr)


@pytest.fixture
def run() -> Any:
    with mock.patch("smolvm_wrapper.smolvm.subprocess.run", return_value=ended()) as patched:
        yield patched


@pytest.mark.filterwarnings("ignore::smolvm_wrapper.EgressNotEnforcedWarning")
def test_every_argv(run: Any, snapshot: SnapshotAssertion) -> None:
    for name, args, kwargs in CALLS:
        getattr(smolvm, name)(*args, **kwargs)
    assert [call.args[0] for call in run.call_args_list] == snapshot


def test_how_it_is_run(run: Any) -> None:
    smolvm.machine_start("vm")
    (argv,), options = run.call_args
    assert type(argv) is list
    assert options["capture_output"]
    assert options["text"]
    assert not options.get("shell")


@pytest.mark.parametrize(("src", "dst"), [("", "vm:/x"), ("x", ""), ("", "")])
def test_cp_of_nothing_runs_nothing(run: Any, src: str, dst: str) -> None:
    smolvm.machine_cp(src, dst)
    run.assert_not_called()


@pytest.mark.parametrize("returncode", [0, 1, 2, 42, 124, 255])
def test_exec_returns_whatever_the_exit_code(run: Any, returncode: int) -> None:
    run.return_value = ended(returncode, "out", "err")
    assert smolvm.machine_exec("vm", ["x"]) == SmolvmRunResult(returncode, "out", "err")


def test_result_is_immutable() -> None:
    with pytest.raises(AttributeError):
        SmolvmRunResult(0, "", "").returncode = 1  # type: ignore[misc]


def test_output_of_a_mock_may_be_none(run: Any) -> None:
    run.return_value = ended(0, None, None)
    assert smolvm.machine_exec("vm", ["x"]) == SmolvmRunResult(0, "", "")


@pytest.mark.parametrize(
    ("name", "args"),
    [(name, args) for name, args, kwargs in CALLS if not kwargs and name != "machine_exec"],
)
def test_others_raise(run: Any, name: str, args: tuple[str, ...]) -> None:
    run.return_value = ended(1, "out", "Error: vm not found: vm\n")
    with pytest.raises(SmolvmError, match="Error: vm not found: vm") as failure:
        getattr(smolvm, name)(*args)
    error = failure.value
    assert error.argv == run.call_args.args[0]
    assert (error.returncode, error.stdout, error.stderr) == (1, "out", "Error: vm not found: vm\n")


def test_secrets_are_in_no_part_of_an_error(run: Any) -> None:
    run.return_value = ended(1, "out hunter2", "Error: bad env 'hunter2'\n")
    with pytest.raises(SmolvmError) as failure:
        smolvm.machine_create("vm", env={"TOKEN": "hunter2"})
    error = failure.value
    assert error.argv == ["smolvm", "machine", "create", "-e", "TOKEN=***", "vm"]
    assert "hunter2" not in repr(error) + str(error) + error.stdout + error.stderr
    assert "bad env '***'" in str(error)


def test_missing_binary_says_where_it_was_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere:/neither")
    with pytest.raises(SmolvmError, match=r"/nowhere/smolvm, /neither/smolvm") as failure:
        smolvm.machine_exec("vm", ["true"], env={"TOKEN": "hunter2"})
    assert "hunter2" not in f"{failure.value!r} {failure.value.argv}"
    assert failure.value.__context__ is None


def test_output_that_is_no_utf_8(stub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stub.does("os.write(1, b'\\xff\\xfe ok'); os.write(2, b'\\x80')")
    monkeypatch.setenv("PATH", str(stub.path.parent), prepend=":")
    result = smolvm.machine_exec("vm", ["true"])
    assert (result.stdout_bytes, result.stderr_bytes) == (b"\xff\xfe ok", b"\x80")
    assert result.stdout.endswith(" ok")


def test_the_exported_machine_name_is_kept_from_smolvm(
    stub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub.does("print(os.environ.get('SMOLVM_MACHINE_NAME'), os.environ['OTHER'])")
    monkeypatch.setenv("PATH", str(stub.path.parent), prepend=":")
    monkeypatch.setenv("SMOLVM_MACHINE_NAME", "production")
    monkeypatch.setenv("OTHER", "kept")
    assert smolvm.machine_exec("vm", ["true"]).stdout == "None kept\n"


def test_dropped_allow_list_warns_the_caller(run: Any) -> None:
    with pytest.warns(EgressNotEnforcedWarning) as warned:
        smolvm.machine_create("vm", from_path="a", allow_cidrs=["10.0.0.0/8"])
    assert warned[0].filename == __file__
    run.assert_called_once()


def test_allow_list_alone_does_not_warn(run: Any) -> None:
    smolvm.machine_create("vm", allow_cidrs=["10.0.0.0/8"])
    run.assert_called_once()


@pytest.mark.parametrize(
    ("name", "args", "kwargs"),
    [
        ("machine_start", ("--force",), {}),
        ("machine_start", ("",), {}),
        ("machine_exec", ("vm", "ls -l"), {}),
        ("machine_exec", ("vm", []), {}),
        ("machine_exec", ("vm", ["a\0b"]), {}),
        ("machine_exec", ("vm", ["x"]), {"env": {"A=B": "c"}}),
        ("machine_exec", ("vm", ["x"]), {"env": {"": "c"}}),
        ("machine_exec", ("vm", ["x"]), {"env": {"-A": "c"}}),
        ("machine_exec", ("vm", ["x"]), {"timeout": -1}),
        ("machine_create", ("vm",), {"allow_cidrs": "10.0.0.0/8"}),
    ],
)
def test_nonsense_is_refused_before_anything_runs(
    run: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    with pytest.raises(UsageError):
        getattr(smolvm, name)(*args, **kwargs)
    run.assert_not_called()


@pytest.mark.parametrize(("where", "there"), [("/bin/smolvm", True), (None, False)])
def test_is_available(where: str | None, there: bool) -> None:
    with mock.patch("smolvm_wrapper.smolvm.shutil.which", return_value=where) as which:
        assert smolvm.is_available() is there
    which.assert_called_once_with("smolvm")


class Clock:
    """The time of a test, in which only sleeping takes any."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, results: list[int]) -> None:
        self.now, self.readings, self.tries = 0.0, 0, 0
        self._results = iter(results)
        monkeypatch.setattr("smolvm_wrapper.smolvm.time.monotonic", self.read)
        monkeypatch.setattr("smolvm_wrapper.smolvm.time.sleep", self.sleep)
        monkeypatch.setattr("smolvm_wrapper.smolvm.machine_exec", self.exec)

    def read(self) -> float:
        self.readings += 1
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def exec(self, name: str, command: list[str]) -> SmolvmRunResult:
        assert (name, command) == ("vm", ["true"])
        self.tries += 1
        return SmolvmRunResult(next(self._results, 1), "", "")


def test_wait_exec_ready_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, [1, 1, 0])
    smolvm.wait_exec_ready("vm", timeout=60)
    assert (clock.tries, clock.readings) == (3, 3)


@pytest.mark.parametrize("timeout", [0, 3, timedelta(seconds=3), "3s"])
def test_wait_exec_ready_gives_up(monkeypatch: pytest.MonkeyPatch, timeout: Any) -> None:
    clock = Clock(monkeypatch, [])
    with pytest.raises(SmolvmError, match="'vm' is not ready"):
        smolvm.wait_exec_ready("vm", timeout=timeout)
    assert clock.readings == clock.tries + 1
    assert clock.now == pytest.approx(3 if timeout else 0)


def test_through_pytest_subprocess(fp: FakeProcess) -> None:
    fp.register(["smolvm", "machine", "start", "--name", "vm"], stdout="Machine 'vm' running\n")
    fp.register(
        ["smolvm", "machine", "exec", "--name", "vm", "--", "id", "-u"], stdout="0\n", returncode=3
    )
    smolvm_wrapper.machine_start("vm")
    assert smolvm_wrapper.machine_exec("vm", ["id", "-u"]) == SmolvmRunResult(3, "0\n", "")


def test_the_package_has_everything_on_demand() -> None:
    for name in smolvm_wrapper.__all__:
        assert getattr(smolvm_wrapper, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = smolvm_wrapper.nonsense


def test_importing_the_package_imports_nothing_else() -> None:
    program = """
import sys
before = set(sys.modules)
import smolvm_wrapper
print(sorted(set(sys.modules) - before - {"__future__"}))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert done.stdout == "['smolvm_wrapper']\n"


@pytest.mark.parametrize(
    "statement",
    [
        "from smolvm_wrapper import Smolvm; Smolvm(version='0.8.0').machine('vm')",
        "from smolvm_wrapper import SmolvmError, machine_exec",
    ],
)
def test_what_costs_much_to_import_is_not_imported(statement: str) -> None:
    """What `import subprocess` does not load either; benchmarks/wrapper.py has the ratios."""
    program = f"""
import subprocess, sys
before = set(sys.modules)
{statement}
new = {{name.partition(".")[0] for name in set(sys.modules) - before}}
print(*new - {{"smolvm_wrapper", "importlib", "__future__", "atexit"}})
"""
    done = subprocess.run(
        [
            sys.executable,
            "-IS",
            "-c",
            f"import sys; sys.path.insert(0, {str(REPOSITORY)!r})" + program,
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == []
