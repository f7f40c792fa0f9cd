"""The values of `-e` are in no error, whatever way they come back."""

from __future__ import annotations

import copy
import json
import pickle
import traceback
from dataclasses import asdict
from typing import Any
from unittest import mock

import pytest

from smolvm_wrapper import (
    CommandBuilder,
    GuestCommandError,
    HostTimeoutError,
    OutputLimitError,
    SmolvmError,
    SmolvmRunResult,
    UsageError,
    processes,
    smolvm,
)
from smolvm_wrapper.command import Finished
from smolvm_wrapper.secrets import KEPT, Remembered, Secrets, Tail

SECRET = "hunter2hunter2"  # noqa: S105
ENV = {"TOKEN": SECRET}


def everything(error: BaseException) -> str:
    """All that can be seen of an error, and of what it came from."""
    seen = []
    one: BaseException | None = error
    while one is not None:
        seen += [repr(one), str(one), repr(vars(one)), repr(getattr(one, "output", ""))]
        one = one.__cause__ or one.__context__
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))
    assert str(copy.copy(error)) == str(error)
    return "\n".join([*seen, *traceback.format_exception(error), repr(pickle.dumps(error))])


def streamed(client: Any, **kwargs: Any) -> Any:
    stream = client.stream("vm", ["x"], **kwargs)
    list(stream)
    return stream.thing.result


@pytest.fixture
def failing(stub: Any) -> Any:
    """A smolvm that prints the secret and fails, but can create, start, stop and delete."""
    return stub.does(f"""
        if {{'create', 'start', 'stop', 'delete', 'update'}} & set(args):
            sys.exit()
        print('out {SECRET}')
        sys.exit('Error: bad token {SECRET}')
    """)


def test_a_machines_own_env_in_a_later_error(client: Any, failing: Any) -> None:
    one = client(failing.path)
    one.machine_create("vm", env=ENV)
    for act in (
        lambda: one.machine_exec("vm", ["x"]).check(),
        lambda: one.machine("vm").exec(["x"]).check(),
        lambda: streamed(one).check(),
        lambda: one.machine_monitor("vm"),
    ):
        with pytest.raises(SmolvmError, match=r"bad token \*\*\*") as failure:
            act()
        assert SECRET not in everything(failure.value)


def test_a_handles_own_env(client: Any, failing: Any) -> None:
    with (
        pytest.raises(GuestCommandError, match=r"bad token \*\*\*") as failure,
        client(failing.path).machine("vm", env=ENV) as vm,
    ):
        vm.exec(["x"]).check()
    assert SECRET not in everything(failure.value)


def test_what_an_update_added(client: Any, failing: Any) -> None:
    one = client(failing.path)
    one.machine_create("vm", env={"OTHER": "something else"})
    one.machine_update("vm", env=ENV)
    assert SECRET not in repr(one.machine_exec("vm", ["x"]))


def test_another_machine_and_a_new_one_of_that_name_have_their_own(
    client: Any, failing: Any
) -> None:
    one = client(failing.path)
    one.machine_create("vm", env=ENV)
    assert SECRET in repr(one.machine_exec("other", ["x"]))
    one.machine_delete("vm")
    assert SECRET in repr(one.machine_exec("vm", ["x"]))


def test_flat_functions_remember_as_well() -> None:
    done = mock.Mock(returncode=1, stdout="", stderr=f"bad token {SECRET}")
    fine = mock.Mock(returncode=0, stdout="", stderr="")
    with mock.patch("smolvm_wrapper.smolvm.subprocess.run", side_effect=[fine, done, fine, done]):
        smolvm.machine_create("vm", env=ENV)
        with pytest.raises(GuestCommandError) as failure:
            smolvm.machine_exec("vm", ["x"]).check()
        assert SECRET not in everything(failure.value)
        smolvm.machine_delete("vm")
        assert SECRET in repr(smolvm.machine_exec("vm", ["x"]))


def test_memory_is_bounded() -> None:
    remembered = Remembered()
    for number in range(1_100):
        remembered.add(f"vm{number}", [f"secret{number}"])
        remembered.add("kept", [f"value{number}"])
    assert not remembered.of("vm0")
    assert remembered.of("vm1099") == ("secret1099",)
    assert len(remembered.of("kept")) == 1_000
    assert "secret" not in repr(remembered.of("vm1099"))


@pytest.mark.parametrize("how", ["call", "stream"])
def test_a_host_timeout(client: Any, stub: Any, how: str) -> None:
    stub.does(f"""
        for stream in (1, 2):
            os.write(stream, b'{SECRET[:5]}'); time.sleep(0.01); os.write(stream, b'{SECRET[5:]}')
        time.sleep(600)
    """)
    one = client(stub.path)
    run = (
        one.machine_exec
        if how == "call"
        else lambda *words, **options: list(one.stream(*words, **options))
    )
    with pytest.raises(HostTimeoutError, match=r"\*\*\*") as failure:
        run("vm", ["x"], env=ENV, host_timeout=2)
    assert SECRET not in everything(failure.value)
    assert failure.value.__context__ is None


@pytest.mark.parametrize("position", [KEPT - 7, KEPT, KEPT + 3, 200_000 - KEPT - 7])
@pytest.mark.parametrize("how", ["result", "stream"])
def test_a_secret_where_the_output_is_cut(
    client: Any, stub: Any, how: str, position: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smolvm_wrapper.running.TAIL", 100_000)
    stub.does(f"""
        said = b'.' * 200_000
        said = said[:{position}] + {SECRET.encode()!r} + said[{position} + {len(SECRET)}:]
        os.write(1, said) and os.write(2, said)
        sys.exit(3)
    """)
    one = client(stub.path)
    run = {"result": lambda: one.machine_exec("vm", ["x"], env=ENV),
           "stream": lambda: streamed(one, env=ENV)}[how]  # fmt: skip
    with pytest.raises(GuestCommandError) as failure:
        run().check()
    seen = everything(failure.value)
    for size in range(3, len(SECRET) + 1):
        assert SECRET[:size] not in seen
        assert SECRET[-size:] not in seen
    assert "characters left out" in failure.value.stderr


@pytest.mark.parametrize("position", range(0, 60, 3))
@pytest.mark.parametrize("size", [1, 7, 1_000])
def test_the_tail_of_a_stream_has_no_half_secret(position: int, size: int) -> None:
    said = ("é" * position + SECRET + "é" * (60 - position)).encode()
    tail = Tail(50, Secrets([SECRET]))
    for at in range(0, len(said), size):
        tail.add(said[at : at + size])
    shown = Secrets([SECRET]).mask(tail.text())
    assert not any(SECRET[-length:] in shown for length in range(2, len(SECRET)))


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        ("line one\nline two", "Error: line two is no key"),
        ("trailing-newline\n", "bad 'trailing-newline'"),
        ('quo"te\\s', json.dumps('quo"te\\s')),
        ("tab\tbed", repr("tab\tbed")),
        ("caf\u00e9s", '{"error": "caf\\u00e9s"}'),
        ("it's mine", "+ echo 'it'\\''s mine'"),
        ("it's mine", """echo 'it'"'"'s mine'"""),
    ],
)
def test_forms(secret: str, said: str) -> None:
    masked = Secrets([secret]).mask(said)
    assert "***" in masked
    assert not any(line.strip() in masked for line in secret.splitlines())


def test_the_parser_repeats_an_argv(client: Any, stub: Any) -> None:
    stub.does("""
        sys.stderr.write(f"error: invalid value '{args[-2]}' for '--env <KEY=VALUE>'\\n\\n")
        sys.stderr.write("For more information, try '--help'.\\n")
        sys.exit(2)
    """)
    with pytest.raises(UsageError) as failure:
        client(stub.path).machine_create("vm", env=ENV)
    assert SECRET not in everything(failure.value)
    assert "'TOKEN=***'" in str(failure.value)


@pytest.mark.parametrize("size", range(4, len(SECRET)))
def test_a_secret_that_was_not_finished(client: Any, stub: Any, size: int) -> None:
    stub.does(f"""
        os.write(1, b'{SECRET[:size]}'); os.write(2, b'token {SECRET[:size]}')
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    with pytest.raises(SmolvmError, match="killed by signal 9") as failure:
        client(stub.path).machine_exec("vm", ["x"], env=ENV).check()
    assert SECRET[:4] not in everything(failure.value)
    assert (failure.value.stdout, failure.value.stderr) == ("***", "token ***")


def test_why_is_masked_too() -> None:
    done = Finished(("smolvm",), 0, SECRET, "", [SECRET])
    assert SECRET not in everything(done.error(SmolvmError, f"said {SECRET}"))


def test_nothing_shows_itself() -> None:
    command = CommandBuilder("0.8.0").machine_exec("vm", ["echo", SECRET], env=ENV)
    result = command.read(Finished(command.argv, 3, SECRET, SECRET, command.secrets))
    assert SECRET not in repr(command) + repr(command.secrets) + repr(result)
    assert result.stdout == SECRET
    bare = {name: held for name, held in asdict(result).items() if name not in ("stdout", "stderr")}
    assert SECRET not in str(bare)
    fine = command.read(Finished(command.argv, 0, "", "", command.secrets))
    assert SECRET not in json.dumps(asdict(fine))
    again = pickle.loads(pickle.dumps(result))  # noqa: S301 - our own
    assert again == result
    assert repr(again) == repr(result)


def test_a_result_says_what_it_always_said() -> None:
    assert repr(SmolvmRunResult(1, "a\n", "b")) == (
        "SmolvmRunResult(returncode=1, stdout='a\\n', stderr='b', speaker='guest')"
    )


def test_an_output_that_has_too_much(
    client: Any, stub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "MOST_OUTPUT", 100_007)
    stub.does(f"os.write(2, b'{SECRET}' * 10_000)")
    with pytest.raises(OutputLimitError) as failure:
        client(stub.path).machine_exec("vm", ["x"], env=ENV)
    assert SECRET not in everything(failure.value)
    assert SECRET[:7] not in everything(failure.value)
