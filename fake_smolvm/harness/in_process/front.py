"""Puts a Popen of this process, a question to pytest-subprocess, in place of the library's own."""

from __future__ import annotations

import asyncio
import inspect
import os
import subprocess
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pytest_subprocess.process_dispatcher import FakePopenWrapper, ProcessDispatcher
from pytest_subprocess.utils import Command

from fake_smolvm.harness.in_process.body import RealPopen
from fake_smolvm.harness.in_process.thread_popen import Runner, ThreadPopen
from fake_smolvm.harness.on_path.starts import PROGRAM, is_smolvm

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest
    from pytest_subprocess import FakeProcess


class _SmolvmCommand(Command):
    """Matches every command line of `smolvm` that the test itself has registered no answer for."""

    __slots__ = ("_definitions",)

    def __init__(self, definitions: Mapping[Command, object]) -> None:
        super().__init__([PROGRAM])
        self._definitions = definitions

    def __eq__(self, other: object) -> bool:
        return is_smolvm(other) and not any(
            key is not self and key == other for key in self._definitions
        )

    __hash__ = Command.__hash__


class _Always(deque[dict[Any, Any] | bool]):
    """Never used up: `True` means "the real thing" to pytest-subprocess."""

    def popleft(self) -> bool:
        return True


class _Front(type):
    """Makes of `subprocess.Popen`, a class that can be derived from, a question to `fp`."""

    front: type[ThreadPopen]

    def __call__(cls, *positional: Any, **named: Any) -> Any:
        is_front = cls is getattr(cls, "front", None)
        if not is_front or not ProcessDispatcher.process_list:
            return super().__call__(*positional, **named)
        # pytest-subprocess takes one positional argument.
        named.update(zip(_POPEN_PARAMETERS, positional, strict=False))
        if "args" not in named:
            return super().__call__(**named)  # which says what is missing
        args = named.pop("args")
        # Several look at it.
        return ProcessDispatcher.dispatch(
            list(args) if isinstance(args, Iterator) else args, **named
        )


_POPEN_PARAMETERS = list(inspect.signature(RealPopen.__init__).parameters)[1:]


def install(runner: Runner, fp: FakeProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have `smolvm` run by `runner` until `monkeypatch` undoes it; other programs really start."""
    front: Any = _Front("Popen", (ThreadPopen,), {"runner": runner, "__module__": "subprocess"})
    front.front = front
    fp.allow_unregistered(True)
    fp.definitions[_SmolvmCommand(fp.definitions)] = _Always((True,))
    monkeypatch.setattr(
        ProcessDispatcher,
        "built_in_popen",
        lambda args, **named: type.__call__(front, args, **named),
    )
    aliases = getattr(ProcessDispatcher, "_patched_popen_locations", ())
    for module, name in [(subprocess, "Popen"), *aliases]:
        if getattr(module, name, None) is FakePopenWrapper:
            monkeypatch.setattr(module, name, front)
    monkeypatch.setattr(
        FakePopenWrapper, "__new__", lambda _, *args, **named: front(*args, **named)
    )
    create = asyncio.create_subprocess_exec

    async def create_subprocess_exec(program: Any, *args: Any, **kwargs: Any) -> Any:
        # pytest-subprocess takes no path objects here, asyncio does.
        return await create(os.fspath(program), *map(os.fspath, args), **kwargs)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", create_subprocess_exec)
