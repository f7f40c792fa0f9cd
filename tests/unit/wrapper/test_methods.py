"""The methods of the clients are ordinary functions: for mocks, for subclasses, for `help`."""

from __future__ import annotations

import asyncio
import inspect
import pydoc
import re
from typing import Any
from unittest import mock

import pytest
from wrapper_clients import described

from smolvm_wrapper import (
    AsyncMachine,
    AsyncSmolvm,
    Command,
    CommandBuilder,
    Machine,
    Smolvm,
    SmolvmRunResult,
)
from smolvm_wrapper.commands import CommandSet
from smolvm_wrapper.machine import MachineHandle

METHODS = list(described(CommandSet))


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("kind", [Smolvm, AsyncSmolvm])
def test_autospec_has_every_method(kind: Any, name: str) -> None:
    for spec in (
        mock.create_autospec(kind, instance=True),
        mock.create_autospec(kind(version="0.8.0"), spec_set=True),
    ):
        is_async = kind is AsyncSmolvm and name not in ("machine", "stream")
        assert isinstance(getattr(spec, name), mock.AsyncMock) or not is_async
        with pytest.raises(TypeError, match=r"unexpected keyword|too many positional"):
            getattr(spec, name)("a", "b", "c", "d", nonsense=1)


def test_an_autospec_of_the_sync_client_is_used() -> None:
    spec = mock.create_autospec(Smolvm, instance=True)
    spec.machine_start.return_value = True
    spec.machine_exec.return_value = SmolvmRunResult(0, "out", "")
    assert spec.machine_start("vm") is True
    assert spec.machine_exec("vm", ["x"], timeout=3).stdout == "out"
    spec.machine_start.assert_called_once_with("vm")
    spec.machine_start.assert_called_once_with(name="vm")
    with pytest.raises(TypeError):
        spec.machine_start()
    with pytest.raises(AttributeError):
        _ = spec.machine_strat


def test_an_autospec_of_the_async_client_is_awaited() -> None:
    spec = mock.create_autospec(AsyncSmolvm, instance=True)
    spec.machine_start.return_value = True
    assert asyncio.run(spec.machine_start("vm")) is True
    spec.machine_start.assert_awaited_once_with("vm")


@pytest.mark.parametrize("kind", [Machine, AsyncMachine])
def test_an_autospec_of_a_handle(kind: Any) -> None:
    spec = mock.create_autospec(kind, instance=True)
    done = spec.exec(["x"], env={"A": "b"})
    if kind is AsyncMachine:
        asyncio.run(done)
    spec.exec.assert_called_once_with(["x"], env={"A": "b"})


def test_patched_on_the_class(stub: Any) -> None:
    stub.does("")
    client = Smolvm(stub.path, version="0.8.0")
    with mock.patch.object(Smolvm, "machine_start", autospec=True) as start:
        client.machine_start("vm")
    start.assert_called_once_with(client, "vm")
    with mock.patch.object(AsyncSmolvm, "machine_start", autospec=True) as start:
        asyncio.run(AsyncSmolvm(stub.path, version="0.8.0").machine_start("vm"))
    assert start.await_count == 1
    assert stub.calls == []
    assert client.machine_start("vm") is True


def test_called_on_the_class(stub: Any) -> None:
    stub.does("")
    assert Smolvm.machine_start(Smolvm(stub.path, version="0.8.0"), "vm") is True
    other = AsyncSmolvm(stub.path, version="0.8.0")
    assert asyncio.run(AsyncSmolvm.machine_start(other, "vm")) is True
    assert len(stub.calls) == 2
    assert isinstance(CommandBuilder.machine_start(CommandBuilder("0.8.0"), "vm"), Command)


def test_subclasses_override_and_call_on(stub: Any) -> None:
    class Loud(Smolvm):
        def machine_start(self, name: str) -> bool:  # type: ignore[override,unused-ignore]
            return not super().machine_start(name)

    class Louder(Loud):
        pass

    stub.does("")
    assert Louder(stub.path, version="0.8.0").machine_start("vm") is False
    assert Louder(stub.path, version="0.8.0").machine_stop("vm") is None
    assert stub.calls == [["machine", word, "--name", "vm"] for word in ("start", "stop")]


@pytest.mark.parametrize(
    ("function", "signature"),
    [
        (Smolvm.machine_start, "(self, name: 'str') -> 'bool'"),
        (AsyncSmolvm.machine_start, "(self, name: 'str') -> 'bool'"),
        (Smolvm.machine_ls, "(self) -> 'list[MachineInfo]'"),
        (Smolvm.machine_images, "(self, name: 'str') -> 'dict[str, Any]'"),
        (Smolvm.machine_delete, "(self, name: 'str') -> 'None'"),
        (CommandBuilder.machine_start, "(self, name: 'str') -> 'Command[bool]'"),
        (CommandBuilder.machine_delete, "(self, name: 'str') -> 'Plan[None]'"),
        (Machine.stop, "(self) -> 'None'"),
    ],
)
def test_signatures(function: Any, signature: str) -> None:
    assert str(inspect.signature(function)) == signature


def test_what_gives_something_of_its_own() -> None:
    assert str(inspect.signature(Smolvm.stream)).endswith("-> 'ExecStream'")
    assert str(inspect.signature(AsyncSmolvm.stream)).endswith("-> 'AsyncExecStream'")
    assert str(inspect.signature(Smolvm.machine)).endswith("-> 'Machine'")
    assert str(inspect.signature(AsyncMachine.stream)).endswith("-> 'AsyncExecStream'")


@pytest.mark.parametrize("owner", [CommandSet, MachineHandle])
def test_every_docstring_tells_what_is_raised(owner: type) -> None:
    silent = [
        name
        for name, member in described(owner).items()
        if "Raises:\n" not in (member.__doc__ or "")
    ]
    assert silent == []


def test_coroutine_functions() -> None:
    assert inspect.iscoroutinefunction(AsyncSmolvm.machine_start)
    assert inspect.iscoroutinefunction(AsyncMachine.exec)
    assert not inspect.iscoroutinefunction(Smolvm.machine_start)
    assert not inspect.iscoroutinefunction(AsyncSmolvm.stream)


@pytest.mark.parametrize("name", METHODS)
def test_help(name: str) -> None:
    for kind in (Smolvm, AsyncSmolvm, CommandBuilder):
        function = getattr(kind, name)
        assert function.__qualname__ == f"{kind.__name__}.{name}"
        text = pydoc.plain(pydoc.render_doc(function))
        assert re.search(rf"{name}\(\s*self", text)
        assert (inspect.getdoc(function) or "").splitlines()[0] in text
    assert "handle" in (inspect.getdoc(Smolvm.machine) or "")
