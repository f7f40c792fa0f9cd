"""What the wrapper is given is checked once, at its edge: nothing has run by then."""

from __future__ import annotations

import io
import subprocess
import sys
from datetime import timedelta
from enum import Enum, StrEnum
from functools import partial
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from wrapper_clients import described

import smolvm_wrapper
from smolvm_wrapper import (
    AsyncSmolvm,
    CommandBuilder,
    Guards,
    Smolvm,
    SmolvmError,
    UsageError,
    checks,
    smolvm,
)
from smolvm_wrapper.commands import CommandSet
from smolvm_wrapper.machine import MachineHandle

if TYPE_CHECKING:
    from collections.abc import Callable

RUN: dict[str, tuple[Any, ...]] = {"machine_exec": ("vm", ["true"]), "stream": ("vm", ["true"])}


class BytesPath:
    def __fspath__(self) -> bytes:
        return b"/x"


# What is given for an argument of `machine_create`, and what is said of it.
WRONG_OPTIONS = [
    ("image", 3, "`image` wants text, not 3"),
    ("image", b"alpine", "`image` wants text, not b'alpine'"),
    ("image", "", "`image` is empty"),
    ("image", "a\0b", "`image` has a NUL character"),
    ("image", "\ud800", "`image` has half a character"),
    ("workdir", PurePosixPath("/srv"), "`workdir` wants text, not PurePosixPath('/srv')"),
    ("from_path", b"x", "`from_path` wants a path (text or an os.PathLike of text), not b'x'"),
    ("from_path", BytesPath(), "`from_path` wants a path"),
    ("from_path", {"a": 1}, "`from_path` wants a path"),
    ("from_path", "", "`from_path` is empty"),
    ("smolfile", 3, "`smolfile` wants a path"),
    ("smolfile", Path("a\0b"), "`smolfile` has a NUL character"),
    ("cpus", True, "`cpus` wants a whole number"),
    ("cpus", 1.0, "`cpus` wants a whole number"),
    ("cpus", -1, "`cpus` wants a whole number (0 to 18446744073709551615), not -1"),
    ("mem", "512", "`mem` wants a whole number"),
    ("mem", 10**5000, "not a long int"),
    ("storage", float("nan"), "`storage` wants a whole number"),
    ("net", "no", "`net` wants True or False, not 'no'"),
    ("gpu", 1, "`gpu` wants True or False, not 1"),
    ("ssh_agent", None, "`ssh_agent` wants True or False, not None"),
    ("init", "ls", "`init` wants a list of texts, not 'ls'"),
    ("init", b"ls", "`init` wants a list of texts"),
    ("init", [""], "`init[0]` is empty"),
    ("volumes", "a:/b", "`volumes` wants a list of texts"),
    ("volumes", {"a": "/b"}, "`volumes` wants a list of texts, not {'a': '/b'}"),
    ("volumes", [Path("a:/b")], "`volumes[0]` wants text"),
    ("ports", [8080], "`ports[0]` wants text, not 8080"),
    ("ports", None, "`ports` wants a list of texts, not None"),
    ("ports", 8080, "`ports` wants a list of texts, not 8080"),
    ("allow_hosts", ["x", ""], "`allow_hosts[1]` is empty"),
    ("allow_cidrs", "10.0.0.0/8", "`allow_cidrs` wants a list of texts"),
    ("env", {"A": None}, "`env['A']` wants text, not None"),
    ("env", {"A": 3}, "`env['A']` wants text, not int"),
    ("env", {"A": b"x"}, "`env['A']` wants text, not bytes"),
    ("env", {"A": "x\0"}, "`env['A']` has a NUL character"),
    ("env", {"A": "\ud800"}, "`env['A']` has half a character"),
    ("env", {3: "x"}, "`env` wants text for names, not int"),
    ("env", ["A=x"], "`env` wants a mapping of names to texts, not list"),
    ("env", "A=x", "`env` wants a mapping of names to texts, not str"),
]
WRONG_NAMES = [None, 3, b"vm", "", "\ud800", "a\0b", "-f", Path("vm")]
WRONG_COMMANDS = [None, "ls -l", b"ls", [], (), ["ls", 1], ["a\0b"], {"ls"}, {"ls": "-l"}, 3]
WRONG_HOST_TIMEOUTS = [
    0, "0s", -1, True, 10**10, 10**400, float("inf"), float("nan"), "", "soon", b"1s", [1],
    timedelta(days=-1), timedelta.max, timedelta(0),
]  # fmt: skip
WRONG_TIMEOUTS = [-1, True, 10**10, float("inf"), float("nan"), "", "1\0s", b"1s", [1],
                  timedelta(days=-1)]  # fmt: skip


def closed_file() -> Any:
    with Path("/dev/null").open("rb") as file:
        pass
    return file


WRONG_STDINS = ["text", 3, subprocess.PIPE, io.StringIO("text"), ["text"], {"a": b"b"},
                Path("/dev/null"), closed_file()]  # fmt: skip


def idents(given: Any) -> str | None:
    """What pytest cannot write itself."""
    return "long" if isinstance(given, int) and given > 10**20 else None


@pytest.fixture(params=["client", "handle", "builder"])
def call(request: pytest.FixtureRequest, client: Any, stub: Any) -> Callable[..., Any]:
    """Calls a method of a client that has not yet asked for its version; nothing may run."""
    stub.does("")

    def do(name: str, /, *args: Any, **kwargs: Any) -> Any:
        one = client(stub.path, version=None)
        if request.param == "builder":
            built = getattr(CommandBuilder("0.8.0"), name)(*args, **kwargs)
            return built if hasattr(built, "argv") or name == "machine" else list(built)
        if request.param == "handle" and name in ("machine_exec", "stream"):
            name, args = name.removeprefix("machine_"), args[1:]
            one = one.machine("vm")
        return getattr(one, name)(*args, **kwargs)

    return do


def refused(stub: Any, message: str, act: Callable[[], Any]) -> None:
    with pytest.raises(UsageError) as failure:
        act()
    assert message in str(failure.value)
    assert "\n" not in str(failure.value)
    assert isinstance(failure.value, ValueError)
    assert failure.value.returncode is None
    assert failure.value.__context__ is None
    assert stub.calls == []


@pytest.mark.parametrize(("option", "given", "message"), WRONG_OPTIONS, ids=idents)
def test_options(option: str, given: Any, message: str) -> None:
    with pytest.raises(UsageError) as failure:
        CommandBuilder("0.8.0").machine_create("vm", **{option: given})
    assert message in str(failure.value)


@pytest.mark.parametrize("method", ["machine_create", "machine"])
def test_options_of_every_client(call: Any, stub: Any, method: str) -> None:
    for option, given, message in WRONG_OPTIONS:
        refused(stub, message, partial(call, method, "vm", **{option: given}))


@pytest.mark.parametrize(
    "method", ["machine_create", "machine_start", "machine_delete", "machine_status", "machine"]
)
def test_names(call: Any, stub: Any, method: str) -> None:
    for name in WRONG_NAMES:
        refused(stub, "`name` ", partial(call, method, name))


@pytest.mark.parametrize("method", RUN)
def test_runs(call: Any, stub: Any, method: str) -> None:
    for command in WRONG_COMMANDS:
        refused(stub, "`command", partial(call, method, "vm", command))
    for given in WRONG_HOST_TIMEOUTS:
        refused(
            stub, "`host_timeout` wants", partial(call, method, *RUN[method], host_timeout=given)
        )
    for given in WRONG_TIMEOUTS:
        refused(stub, "`timeout` ", partial(call, method, *RUN[method], timeout=given))
    for given in WRONG_STDINS:
        refused(stub, "`stdin", partial(call, method, *RUN[method], stdin=given))


def test_waits(call: Any, stub: Any) -> None:
    for given in (*WRONG_TIMEOUTS, "soon", "5"):
        refused(stub, "`timeout` ", partial(call, "wait_exec_ready", "vm", timeout=given))


def test_a_file_that_cannot_be_read(call: Any, stub: Any, tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as file:
        refused(stub, "not open for reading", lambda: call("machine_exec", "vm", ["x"], stdin=file))


def test_an_iterator_of_something_else(client: Any, stub: Any) -> None:
    with pytest.raises(UsageError, match=r"`stdin` wants bytes, .* not str") as failure:
        client(stub.path).machine_exec("vm", ["x"], stdin="hunter22")
    assert "hunter22" not in str(failure.value)
    stub.does("sys.stdin.read()")
    with pytest.raises(UsageError, match="`stdin` wants bytes, and gave str"):
        client(stub.path).machine_exec("vm", ["x"], stdin=iter(["text"]))


@pytest.mark.parametrize(
    ("method", "args", "message"),
    [
        ("upload", ("", "vm:/x"), "`path` is empty"),
        ("upload", (b"x", "vm:/x"), "`path` wants a path"),
        ("download", ("vm:/x", 3), "`path` wants a path"),
        ("machine_cp", (Path("x"), "vm:/x"), "`src` wants text"),
        ("pack_create", ("alpine", b"box"), "`output` wants a path"),
        ("pack_create", (None, "box"), "`from_vm` wants text"),
        ("pack_push", ("-x", "file"), "`reference` wants what smolvm does not take for an option"),
        ("machine_network_test", ("vm", "-x"), "`url` wants"),
        ("machine_update", ("vm",), "`remove_env`"),
        ("machine_run", ("ls -l",), "`command` wants a list of words, not str"),
        ("pack_run", (None,), "`command` wants a list of words, not None"),
    ],
)
def test_others(call: Any, stub: Any, method: str, args: tuple[Any, ...], message: str) -> None:
    kwargs: dict[str, Any] = {"remove_env": "A"} if method == "machine_update" else {}
    if args == (None, "box"):
        kwargs = {"from_vm": b"vm"}
    refused(stub, message, lambda: call(method, *args, **kwargs))


@pytest.mark.parametrize(
    "options",
    [
        {"binary": b"smolvm"}, {"binary": ""}, {"binary": 3}, {"binary": "a\0b"},
        {"version": 0.8}, {"version": "latest"}, {"version": ""}, {"version": "1.4"},
        {"guards": {"unknown_stop": False}}, {"guards": True},
        *({"host_timeout": given} for given in WRONG_HOST_TIMEOUTS),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", [Smolvm, AsyncSmolvm])
def test_clients(kind: Any, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=f"`{next(iter(options))}` "):
        kind(**options)


def test_guards_and_builders() -> None:
    with pytest.raises(UsageError, match="`unknown_stop` wants True or False, not 0"):
        Guards(unknown_stop=0)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="`version` wants a version"):
        CommandBuilder("newest")
    with pytest.raises(UsageError, match="`guards` wants"):
        CommandBuilder("0.8.0", False)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "args", "kwargs"),
    [
        *(("machine_start", (name,), {}) for name in WRONG_NAMES),
        *(("wait_exec_ready", (name,), {}) for name in WRONG_NAMES),
        *(("machine_exec", ("vm", command), {}) for command in WRONG_COMMANDS),
        *(("machine_exec", ("vm", ["x"]), {"timeout": given}) for given in WRONG_TIMEOUTS),
        *(("wait_exec_ready", ("vm",), {"timeout": given}) for given in (*WRONG_TIMEOUTS, "soon")),
        *(
            ("machine_create", ("vm",), {option: given})
            for option, given, _ in WRONG_OPTIONS
            if option in ("from_path", "allow_cidrs", "env")
        ),
        ("machine_cp", (b"x", "vm:/x"), {}),
        ("pack_create", ("alpine", b"box"), {}),
        ("pack_create", (None, 3), {}),
    ],
)
def test_flat_functions(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    with (
        mock.patch("smolvm_wrapper.smolvm.subprocess.run") as run,
        pytest.raises(UsageError, match="`"),
    ):
        getattr(smolvm, name)(*args, **kwargs)
    run.assert_not_called()


def test_a_mistake_shows_no_variable(call: Any) -> None:
    for env in ({"TOKEN": "hunter2"}, MappingProxyType({"TOKEN": "hunter2"})):
        with pytest.raises(UsageError) as failure:
            call("machine_exec", "vm", ["x"], workdir=b"in hunter2", env=env)
        assert "hunter2" not in f"{failure.value!r}"
    with pytest.raises(UsageError) as failure:
        call("machine_create", "vm", env={"TOKEN=hunter2": ""})
    assert "'TOKEN='" in str(failure.value)
    assert "hunter2" not in f"{failure.value!r}"


def test_arguments_that_there_are_not_are_pythons_business(call: Any, stub: Any) -> None:
    for act in (
        lambda: call("machine_start"),
        lambda: call("machine_start", "vm", "other"),
        lambda: call("machine_start", "vm", name="vm"),
        lambda: call("machine_create", "vm", cpu=2),
        lambda: call("machine", "vm", cpu=2),
    ):
        with pytest.raises(TypeError, match=r"machine_(start|create)\(\)"):
            act()
    assert stub.calls == []


# --- what is right ---


class Image(str, Enum):  # noqa: UP042 - whose text is not its value
    ALPINE = "alpine"


class Mode(StrEnum):
    TSI = "tsi"


class Count:
    def __index__(self) -> int:
        return 3


def test_what_is_meant_is_taken_plainly(tmp_path: Path) -> None:
    argv = CommandBuilder("0.8.0").machine_create(
        "vm",
        image=Image.ALPINE,
        net_backend=Mode.TSI,
        cpus=Count(),  # type: ignore[arg-type]
        smolfile=tmp_path,
        ports=(port for port in ("1:1", "2:2")),
        env=mock.MagicMock(keys=lambda: ["A"], __getitem__=lambda _, key: key.lower()),
    )  # fmt: skip
    assert argv.argv[3:] == (
        "--image", "alpine", "--smolfile", str(tmp_path), "--cpus", "3", "-p", "1:1", "-p", "2:2",
        "--net-backend", "tsi", "-e", "A=a", "vm",
    )  # fmt: skip


def test_bytes_that_are_no_text_can_be_named() -> None:
    odd = "caf\udce9"
    assert CommandBuilder("0.8.0").machine_create("vm", from_path=odd).argv[4] == odd


@pytest.mark.parametrize("given", [1e-3, "1ms", timedelta(milliseconds=1), 10**9])
def test_good_durations(given: Any) -> None:
    assert CommandBuilder("0.8.0").machine_exec("vm", ["x"], host_timeout=given).host_timeout


def test_very_long_timeouts_can_be_waited_for(client: Any, stub: Any) -> None:
    stub.does("print('x')")
    assert client(stub.path, host_timeout=10**9).machine_exec("vm", ["x"]).stdout == "x\n"
    assert list(client(stub.path).stream("vm", ["x"], host_timeout=10**9)) == [("stdout", b"x\n")]


def test_too_long_an_argument_is_told_of(client: Any, stub: Any) -> None:
    stub.does("")
    with pytest.raises(SmolvmError, match="could not be started: Argument list too long"):
        client(stub.path).machine_exec("vm", ["x" * 10_000_000])


def test_every_annotation_says_what_is_wanted() -> None:
    for owner in (CommandSet, MachineHandle):
        for member in described(owner).values():
            for name, wanted in member.build.__annotations__.items():
                kind, _, none = wanted.partition(" | ")
                assert none in ("", "None")
                assert name == "return" or kind in checks._KINDS, (member, name)  # noqa: SLF001


# --- what is public does something ---


def test_every_public_name_of_a_client_runs_or_tells(stub: Any) -> None:
    stub.does("print('{}')")
    told = {"dialect", "guards", "handle_type", "is_available", "machine", "runner", "stream"}
    told |= {"version"}
    for kind in (Smolvm, AsyncSmolvm):
        one = kind(stub.path, version="0.8.0")
        public = {name for name in dir(one) if not name.startswith("_")}
        assert public == described(CommandSet).keys() | told
        handle = one.machine("vm")
        public = {name for name in dir(handle) if not name.startswith("_")}
        assert public == described(MachineHandle).keys() | {"guards", "name", "runner"}


def test_upload_and_download(client: Any, stub: Any, tmp_path: Path) -> None:
    stub.does("if args[-2] == 'vm:/x': open(args[-1], 'w').write('new')")
    one = client(stub.path)
    one.download("vm:/x", tmp_path / "file")
    assert (tmp_path / "file").read_text() == "new"
    one.upload(tmp_path / "file", "vm:/y")
    assert stub.calls[-1] == ["machine", "cp", str(tmp_path / "file"), "vm:/y"]


def test_every_name_of_the_package_is_there() -> None:
    assert set(dir(smolvm_wrapper)) == set(smolvm_wrapper.__all__)
    assert sys.modules["smolvm_wrapper.smolvm"] is smolvm_wrapper.smolvm
