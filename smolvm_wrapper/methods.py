"""How one description of a command becomes a method on every client, sync and async.

A `@method` is written once, as a pure function that builds a `Command`, or as a plan: a generator
that yields commands, is sent their results, and returns its own. Called on a sync client it runs,
on an async one it is a coroutine, on a `CommandBuilder` it is only built. Type checkers and editors
see the signature and docstring as written, with the right result for each.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from functools import partial, wraps
from types import MethodType
from typing import Any, Concatenate, Generic, ParamSpec, TypeAlias, TypeVar, overload

TYPE_CHECKING = False
if TYPE_CHECKING:
    from smolvm_wrapper.aio import AsyncExecStream, AsyncMachine, AsyncRunner
    from smolvm_wrapper.command import Command, Pause
    from smolvm_wrapper.results import SmolvmRunResult
    from smolvm_wrapper.sync import ExecStream, Machine, SyncRunner

P = ParamSpec("P")
R = TypeVar("R")
Built = TypeVar("Built")

Plan: TypeAlias = Generator["Command[Any] | Pause", Any, R]


class Pure:
    """Methods are built and not run."""


class Sync:
    """Methods run, and return when smolvm has ended."""

    runner: SyncRunner


class Async:
    """Methods are coroutines."""

    runner: AsyncRunner


class _Described:
    """A pure function that is called in a way of its own for each kind of instance."""

    def __init__(self, build: Callable[..., Any], ways: dict[type, Callable[..., Any]]) -> None:
        self.build = build
        self.__doc__ = build.__doc__
        self._ways = {kind: wraps(build)(way) for kind, way in ways.items()}

    def _bind(self, instance: object) -> Any:
        if instance is None:
            return self.build
        for kind, way in self._ways.items():
            if isinstance(instance, kind):
                return MethodType(way, instance)
        return MethodType(self.build, instance)


class method(_Described, Generic[P, R, Built]):  # noqa: N801 - a decorator, like property
    """A command or plan, described once."""

    @overload
    def __init__(
        self: method[P, R, Command[R]], build: Callable[Concatenate[Any, P], Command[R]]
    ) -> None: ...
    @overload
    def __init__(
        self: method[P, R, Plan[R]], build: Callable[Concatenate[Any, P], Plan[R]]
    ) -> None: ...
    def __init__(self, build: Callable[..., Any]) -> None:
        def run(host: Sync, /, *args: Any, **kwargs: Any) -> Any:
            return host.runner.perform(build(host, *args, **kwargs))

        async def run_async(host: Async, /, *args: Any, **kwargs: Any) -> Any:
            await host.runner.known_dialect()
            return await host.runner.perform(build(host, *args, **kwargs))

        super().__init__(build, {Sync: run, Async: run_async})

    @overload
    def __get__(
        self, instance: None, owner: Any = None
    ) -> Callable[Concatenate[Any, P], Built]: ...
    @overload
    def __get__(self, instance: Sync, owner: Any = None) -> Callable[P, R]: ...
    @overload
    def __get__(
        self, instance: Async, owner: Any = None
    ) -> Callable[P, Coroutine[Any, Any, R]]: ...
    @overload
    def __get__(self, instance: Pure, owner: Any = None) -> Callable[P, Built]: ...
    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self._bind(instance)


class streaming(_Described, Generic[P]):  # noqa: N801 - a decorator, like property
    """A command whose output is wanted as it comes."""

    def __init__(self, build: Callable[Concatenate[Any, P], Command[SmolvmRunResult]]) -> None:
        def run(host: Sync, /, *args: Any, **kwargs: Any) -> ExecStream:
            from smolvm_wrapper.sync import ExecStream

            return ExecStream(host.runner, build(host, *args, **kwargs))

        def run_async(host: Async, /, *args: Any, **kwargs: Any) -> AsyncExecStream:
            from smolvm_wrapper.aio import AsyncExecStream

            return AsyncExecStream(host.runner, partial(build, host, *args, **kwargs))

        super().__init__(build, {Sync: run, Async: run_async})

    @overload
    def __get__(
        self, instance: None, owner: Any = None
    ) -> Callable[Concatenate[Any, P], Command[SmolvmRunResult]]: ...
    @overload
    def __get__(self, instance: Sync, owner: Any = None) -> Callable[P, ExecStream]: ...
    @overload
    def __get__(self, instance: Async, owner: Any = None) -> Callable[P, AsyncExecStream]: ...
    @overload
    def __get__(
        self, instance: Pure, owner: Any = None
    ) -> Callable[P, Command[SmolvmRunResult]]: ...
    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self._bind(instance)


class handle(Generic[P]):  # noqa: N801 - used like the decorators above
    """A method that takes what another one takes, and gives a machine handle."""

    def __init__(self, creation: method[P, Any, Any]) -> None:
        def make(client: Any, /, name: str, **options: Any) -> Any:
            return client.handle_type(client, name, options)

        self._make = wraps(creation.build)(make)

    @overload
    def __get__(self, instance: None, owner: Any = None) -> Callable[..., Any]: ...
    @overload
    def __get__(self, instance: Sync, owner: Any = None) -> Callable[P, Machine]: ...
    @overload
    def __get__(self, instance: Async, owner: Any = None) -> Callable[P, AsyncMachine]: ...
    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self._make if instance is None else MethodType(self._make, instance)


def do(command: Command[R]) -> Plan[R]:
    """Make a command a step of a plan, and give its result: `yield from` this."""
    result: R = yield command
    return result
