"""Type checkers understand the public API, and the editor's view of it is the documented one."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest
from wrapper_clients import described

import smolvm_wrapper
from smolvm_wrapper import AsyncMachine, AsyncSmolvm, CommandBuilder, Machine, Smolvm
from smolvm_wrapper.commands import CommandSet
from smolvm_wrapper.machine import MachineHandle
from smolvm_wrapper.methods import DescribedHandle

USAGE = Path(__file__).with_name("usage.py")
REPOSITORY = Path(__file__).parents[2]
DESCRIBED = [
    (owner, name)
    for owner in (CommandSet, MachineHandle)
    for name, member in described(owner).items()
    if not isinstance(member, DescribedHandle)
]


@pytest.mark.parametrize(
    "checker",
    [
        ["mypy", "--strict", "--warn-unused-ignores", "--config-file="],
        ["pyright", "--warnings"],
    ],
    ids=lambda checker: checker[0],
)
def test_public_api(checker: list[str], tmp_path: Path) -> None:
    if checker[0] == "mypy":
        checker = [*checker, f"--cache-dir={tmp_path}"]
    done = subprocess.run(
        [sys.executable, "-m", *checker, str(USAGE)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_package_is_marked_as_typed() -> None:
    assert Path(smolvm_wrapper.__file__).with_name("py.typed").is_file()


@pytest.mark.parametrize(("owner", "name"), DESCRIBED)
def test_signature_and_docstring_are_there_at_run_time(owner: type, name: str) -> None:
    written = inspect.signature(described(owner)[name].build)
    parameters = list(written.parameters.values())[1:]
    instances = (
        [Smolvm(version="0.8.0"), AsyncSmolvm(version="0.8.0"), CommandBuilder("0.8.0")]
        if owner is CommandSet
        else [
            Machine(Smolvm(version="0.8.0"), "vm", {}),
            AsyncMachine(AsyncSmolvm(version="0.8.0"), "vm", {}),
        ]
    )
    for instance in instances:
        bound = getattr(instance, name)
        assert list(inspect.signature(bound).parameters.values()) == parameters
        assert inspect.getdoc(bound)
        assert bound.__name__ == name


@pytest.mark.parametrize(("owner", "name"), DESCRIBED)
def test_docstring_tells_of_every_argument(owner: type, name: str) -> None:
    build = described(owner)[name].build
    doc = inspect.getdoc(build) or ""
    if "Args:" in doc:
        for parameter in list(inspect.signature(build).parameters)[1:]:
            assert f"    {parameter}: " in doc


def test_async_methods_are_coroutine_functions() -> None:
    assert inspect.iscoroutinefunction(AsyncSmolvm(version="0.8.0").machine_start)
    assert not inspect.iscoroutinefunction(Smolvm(version="0.8.0").machine_start)
