"""Nothing leaves the sandbox, whatever environment the code under test starts smolvm with."""

from __future__ import annotations

import os
import pwd
import subprocess
from typing import TYPE_CHECKING
from unittest import mock

import pytest

from fake_smolvm.harness.on_path.inside import keep_inside

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fake_smolvm.harness.fixture import SmolvmFixture

REAL_HOME = pwd.getpwuid(os.getuid()).pw_dir
CREATE = ["smolvm", "machine", "create", "box"]


def cleared(smolvm: SmolvmFixture) -> None:
    with mock.patch.dict(os.environ, {"PATH": os.environ["PATH"]}, clear=True):
        smolvm.run(*CREATE[1:], check=True)


def cleared_only_at_the_start(smolvm: SmolvmFixture) -> None:
    smolvm.delay(0.1, "machine create")
    with mock.patch.dict(os.environ, {"PATH": os.environ["PATH"]}, clear=True):
        process = subprocess.Popen(CREATE)
    assert process.wait() == 0


def unset_in_this_process(smolvm: SmolvmFixture) -> None:
    with mock.patch.dict(os.environ):
        del os.environ["HOME"]
        smolvm.run(*CREATE[1:], check=True)


def by_env(**env: str) -> Callable[[SmolvmFixture], None]:
    def create(smolvm: SmolvmFixture) -> None:
        full = {"PATH": os.environ["PATH"], **env}
        smolvm.run(*CREATE[1:], env=full, check=True)

    return create


def by_nothing(smolvm: SmolvmFixture) -> None:
    smolvm.run(*CREATE[1:], env={}, executable=smolvm.binary, check=True)


def by_a_fork(smolvm: SmolvmFixture) -> None:
    pid = os.fork()
    if pid == 0:
        os.environ.clear()
        os.environ["PATH"] = str(smolvm.binary.parent)
        os._exit(smolvm.run(*CREATE[1:]).returncode)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize(
    "create",
    [
        cleared,
        cleared_only_at_the_start,
        unset_in_this_process,
        by_nothing,
        by_a_fork,
        by_env(),
        by_env(HOME=""),
        by_env(HOME=REAL_HOME),
        by_env(HOME=f"{REAL_HOME}/"),
        by_env(HOME=os.environ.get("HOME", "")),
        by_env(XDG_DATA_HOME="/nowhere", XDG_CACHE_HOME="/nowhere", XDG_CONFIG_HOME="/nowhere"),
    ],
)
def test_machine_is_in_the_sandbox(
    either: SmolvmFixture, create: Callable[[SmolvmFixture], None]
) -> None:
    create(either)
    assert either.machine("box").exists
    assert "box" in either.run("machine", "ls").stdout
    either.run("machine", "delete", "-f", "box", check=True)


def test_place_that_the_caller_chose_is_left_alone(either: SmolvmFixture, tmp_path: Path) -> None:
    env = {**os.environ, "FAKE_SMOLVM_HOME": str(tmp_path)}
    either.run(*CREATE[1:], env=env, check=True)
    assert not either.machine("box").exists
    assert (tmp_path / ".fake_smolvm").exists()


def test_home_relative_to_the_working_directory(either: SmolvmFixture, tmp_path: Path) -> None:
    for variable in ("HOME", "FAKE_SMOLVM_HOME"):
        env = {**os.environ, variable: variable.lower()}
        either.run(*CREATE[1:], env=env, cwd=tmp_path, check=True)
        assert (tmp_path / variable.lower() / ".fake_smolvm").exists()


def test_scenario_of_the_callers_own(either: SmolvmFixture) -> None:
    either.fault("machine create", rc=9)
    either.run(*CREATE[1:], env={**os.environ, "FAKE_SMOLVM_SCENARIO": "no-kvm"}, check=True)
    assert either.run("machine", "delete", "-f", "box").returncode == 0
    assert either.run(*CREATE[1:]).returncode == 9


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({}, {"HOME": "/box/home"}),
        ({"HOME": ""}, {"HOME": "/box/home"}),
        ({"HOME": "/me/."}, {"HOME": "/box/home"}),
        ({"HOME": "/mine"}, {"HOME": "/mine"}),
        ({"HOME": "/mine", "FAKE_SMOLVM_HOME": "/me"}, {"HOME": "/mine"}),
        (
            {"HOME": "/mine", "FAKE_SMOLVM_HOME": "/x", "XDG_DATA_HOME": "/me"},
            {"HOME": "/mine", "FAKE_SMOLVM_HOME": "/x", "XDG_DATA_HOME": "/me"},
        ),
    ],
)
def test_what_leads_outside_is_taken_out(given: dict[str, str], kept: dict[str, str]) -> None:
    keep_inside(given, "/box", {"HOME": ["/me"], "FAKE_SMOLVM_HOME": ["/me"]})
    assert given == kept


def test_environment_made_before_the_test_does_not_lead_out(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import os, pathlib, pytest
        BEFORE = dict(os.environ)

        @pytest.mark.parametrize("name", ["smolvm", "fake_smolvm"])
        def test_it(request, name):
            smolvm = request.getfixturevalue(name)
            env = {**BEFORE, "PATH": os.environ["PATH"]}
            smolvm.run("machine", "create", "box", env=env, check=True)
            assert smolvm.machine("box").exists
            smolvm.run("machine", "delete", "-f", "box", env=env, check=True)
            for place in (BEFORE["HOME"], BEFORE["FAKE_SMOLVM_HOME"]):
                assert not pathlib.Path(place, ".fake_smolvm").exists()
        """
    )
    env = {"HOME": str(pytester.path / "home"), "FAKE_SMOLVM_HOME": str(pytester.path / "fake")}
    with mock.patch.dict(os.environ, env):
        for _ in range(2):
            pytester.runpytest_subprocess().assert_outcomes(passed=2)
