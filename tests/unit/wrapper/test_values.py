"""The parts that run nothing: durations, dialects, secrets, results, errors."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smolvm_wrapper import (
    CommandBuilder,
    GuestCommandError,
    GuestTimeoutError,
    MachineInfo,
    SmolvmError,
    SmolvmRunResult,
    State,
    UnsupportedError,
    UsageError,
    readers,
)
from smolvm_wrapper.command import Finished
from smolvm_wrapper.dialects import Dialect, version_in
from smolvm_wrapper.durations import as_seconds, as_text
from smolvm_wrapper.running import ASK_VERSION
from smolvm_wrapper.secrets import masked


@pytest.mark.parametrize(
    ("duration", "text", "seconds"),
    [
        (30, "30s", 30),
        (90.0, "90s", 90),
        (1.5, "1500ms", 1.5),
        (0.1, "100ms", 0.1),
        (1e-6, "1us", 1e-6),
        (1e-9, "1ns", 1e-9),
        (timedelta(hours=1), "3600s", 3600),
        (timedelta(microseconds=1500), "1500us", 0.0015),
        ("1m 30s", "1m 30s", 90),
        ("1h2min", "1h2min", 3720),
        ("1.5s", "1.5s", 1.5),
        ("2 days", "2 days", 172_800),
    ],
)
def test_duration(duration: Any, text: str, seconds: float) -> None:
    assert as_text(duration) == text
    assert as_seconds(duration) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "nonsense", ["", "5", "5x", "s", "-1s", "1s!", -1, float("nan"), float("inf")]
)
def test_no_duration(nonsense: Any) -> None:
    with pytest.raises(UsageError):
        as_seconds(nonsense)


@given(st.integers(1, 10**5), st.sampled_from(["ns", "us", "ms", "s", "min", "h"]))
def test_a_duration_survives_its_text(number: int, unit: str) -> None:
    seconds = as_seconds(f"{number}{unit}")
    assert as_seconds(as_text(seconds)) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("version", "feature"),
    [
        ("0.7.2", "machine status --json"),
        ("0.5.11", "machine create --from"),
        ("0.5.1", "machine cp"),
        ("0.1.19", "machine start"),
        ("1.22.2", "machine resize"),
    ],
)
def test_what_a_version_lacks_is_refused(version: str, feature: str) -> None:
    commands = CommandBuilder(version)
    calls = {
        "machine status --json": lambda: commands.machine_status("vm"),
        "machine create --from": lambda: commands.machine_create("vm", from_path="x"),
        "machine cp": lambda: next(commands.machine_cp("./x", "vm:/x")),
        "machine start": lambda: commands.machine_start("vm"),
        "machine resize": lambda: commands.machine_resize("vm", storage=30),
    }
    with pytest.raises(UnsupportedError, match=version):
        calls[feature]()
    assert CommandBuilder("0.8.0").machine_status("vm").argv[-1] == "--json"


@pytest.mark.parametrize(
    ("version", "tail"),
    [
        ("0.8.0", ["delete", "-f", "vm"]),
        ("1.0.1", ["delete", "-f", "vm"]),
        ("1.0.2", ["delete", "-f", "--name", "vm"]),
        ("1.32.2", ["delete", "-f", "--name", "vm"]),
    ],
)
def test_the_name_changes_its_place(version: str, tail: list[str]) -> None:
    *_, delete = CommandBuilder(version).machine_delete("vm")
    assert list(delete.argv[-len(tail) :]) == tail


@pytest.mark.parametrize(
    ("printed", "version"),
    [("smolvm 1.4.0\n", "1.4.0"), ("1.4.0", "1.4.0"), ("smolvm 2.0.0-rc1", "2.0.0-rc1")],
)
def test_version_text(printed: str, version: str) -> None:
    assert version_in(printed) == version


@pytest.mark.parametrize("printed", ["", "smolvm", "hello there"])
def test_no_version_text(printed: str) -> None:
    assert version_in(printed) is None
    with pytest.raises(SmolvmError, match="no version"):
        ASK_VERSION.read(ended(0, printed))


@pytest.mark.parametrize(
    ("version", "known"),
    [
        ("0.7.2", False),
        ("0.8.0", True),
        ("1.13.1", True),
        ("1.32.2", True),
        ("1.33.0", False),
        ("2.0.0-rc1", False),
    ],
)
def test_known_versions(version: str, known: bool) -> None:
    assert Dialect(version).known is known


# --- secrets ---


@given(st.text(min_size=4), st.text(), st.text())
def test_no_secret_survives(secret: str, before: str, after: str) -> None:
    for form in (secret, json.dumps(secret, ensure_ascii=False)[1:-1]):
        assert secret not in masked(f"{before}{form}{after}", (secret,)).replace("***", "")


def test_short_secrets_are_masked_alone_only() -> None:
    assert masked("m1 A=1 os error 11", ("1",)) == "m1 A=*** os error 11"


@pytest.mark.parametrize(
    "name", ["machine_create", "machine_update", "machine_exec", "machine_run"]
)
def test_a_command_shows_no_secret(name: str) -> None:
    args = {"machine_exec": ("vm", ["echo", "hunter2"]), "machine_run": (["echo", "hunter2"],)}
    command = getattr(CommandBuilder("0.8.0"), name)(
        *args.get(name, ("vm",)), env={"TOKEN": "hunter2"}
    )
    assert "TOKEN=hunter2" in command.argv
    assert "hunter2" not in repr(command)
    assert "TOKEN=***" in repr(command)


def test_the_guests_own_e_option_is_not_taken_for_ours() -> None:
    command = CommandBuilder("0.8.0").machine_exec("vm", ["grep", "-e", "x=y"], env={"A": "secret"})
    assert "grep -e x=y" in repr(command)


def test_commands_are_values() -> None:
    one, other = (CommandBuilder("0.8.0").machine_start("vm") for _ in range(2))
    assert one == other
    with pytest.raises(AttributeError, match="'argv' of a Command"):
        one.argv = ()  # type: ignore[misc]


def test_a_result_gives_nothing_away() -> None:
    command = CommandBuilder("0.8.0").machine_exec("vm", ["x"], env={"TOKEN": "hunter2"})
    result = command.read(Finished(command.argv, 3, "", "", command.secrets))
    assert "hunter2" not in repr(result) + str(dataclasses.asdict(result))


# --- results ---


def ended(returncode: int, stdout: str = "", stderr: str = "") -> Finished:
    return Finished(("smolvm",), returncode, stdout, stderr)


@pytest.mark.parametrize(
    ("timeout", "returncode", "error"),
    [(None, 3, GuestCommandError), (None, 124, GuestCommandError), (5, 124, GuestTimeoutError)],
)
def test_check(timeout: Any, returncode: int, error: type[SmolvmError]) -> None:
    command = CommandBuilder("0.8.0").machine_exec("vm", ["x"], timeout=timeout)
    with pytest.raises(error) as failure:
        command.read(ended(returncode, "out")).check()
    assert type(failure.value) is error
    assert (failure.value.returncode, failure.value.stdout) == (returncode, "out")


def test_check_of_a_hand_made_result() -> None:
    assert SmolvmRunResult(0, "a", "b").check().stdout == "a"
    with pytest.raises(GuestCommandError):
        SmolvmRunResult(1, "", "").check()


MACHINE = {
    "cmd": ["sh"], "cpus": 4, "created_at": 1795487852, "entrypoint": [], "ephemeral": False,
    "gpu": False, "gpu_vram_mib": None, "health_cmd": None, "health_interval_secs": None,
    "health_retries": None, "health_startup_grace_secs": None, "health_timeout_secs": None,
    "image": None, "memory_mib": 8192, "mounts": 0, "name": "vm", "network": False,
    "overlay_gb": None, "pid": None, "ports": 0, "restart_count": 0, "restart_max_retries": 0,
    "restart_policy": "never", "state": "created", "storage_gb": None,
}  # fmt: skip


def read_status(**changes: Any) -> MachineInfo:
    return readers.machine(ended(0, json.dumps({**MACHINE, **changes})))


def test_status_is_read_whole() -> None:
    info = read_status()
    assert {**dataclasses.asdict(info), "state": "created", "cmd": ["sh"], "entrypoint": []} == {
        **MACHINE,
        "extra": {},
    }
    assert info.state is State.CREATED


def test_unknown_fields_are_kept() -> None:
    assert read_status(disks=[1], name="other").extra == {"disks": [1]}


def test_unknown_states_are_unknown_and_keep_their_word() -> None:
    state = read_status(state="thawing").state
    assert state == State.UNKNOWN
    assert state.name == "UNKNOWN"
    assert state.value == "thawing"
    assert copy.deepcopy(state).value == "thawing"
    assert State("running") is State.RUNNING
    assert State.RUNNING != State.UNKNOWN


@pytest.mark.parametrize("printed", ["", "nonsense", "{}", '{"name": "vm"}', "[1]"])
def test_unreadable_json_is_an_error_of_ours(printed: str) -> None:
    with pytest.raises(SmolvmError):
        readers.machine(ended(0, printed))


def test_errors_can_be_pickled() -> None:
    error = ended(1, "out", "err").error(GuestTimeoutError, "why")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert (type(again), str(again), vars(again)) == (GuestTimeoutError, str(error), vars(error))
    assert isinstance(again, TimeoutError)
