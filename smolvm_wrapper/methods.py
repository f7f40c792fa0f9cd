"""How one description of a command becomes a method on every client, sync and async.

A `@method` is written once, as a pure function that builds a `Command`, or as a plan: a generator
that yields commands, is sent their results, and returns its own. From it, every class that is
`Sync`, `Async` or `Pure` gets an ordinary function of its own: on a sync client it runs, on an
async one it is a coroutine function, on a `CommandBuilder` it only builds. All of them check their
arguments first. Type checkers and editors see the signature and docstring as written, with the
right result for each; for them `method`, `streaming` and `handle` are descriptors.
"""

from __future__ import annotations

from functools import partial, update_wrapper
from types import FunctionType

from smolvm_wrapper import checks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator
    from typing import Any, Concatenate, ParamSpec, Protocol, TypeAlias, TypeVar, overload

    from smolvm_wrapper.command import Command, Pause
    from smolvm_wrapper.guards import Guards
    from smolvm_wrapper.results import SmolvmRunResult
    from smolvm_wrapper.values import Generic

    P = ParamSpec("P")
    R = TypeVar("R")
    Built = TypeVar("Built")
    Stream = TypeVar("Stream")
    Stream_co = TypeVar("Stream_co", covariant=True)
    Handle = TypeVar("Handle")
    Handle_co = TypeVar("Handle_co", covariant=True)
    Plan: TypeAlias = Generator[Command[Any] | Pause, Any, R]


class Described:
    """A pure function that is called in a way of its own on each kind of class.

    Attributes:
        build: the function.
    """

    results: dict[type, str] = {}  # noqa: RUF012 - never written to
    """What it returns on each kind of class, if that is not what the function says."""

    def __init__(self, build: Callable[..., Any]) -> None:
        self.build = build
        self.__doc__ = build.__doc__

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self.build if instance is None else partial(self.build, instance)

    def function_of(self, cls: type, name: str) -> Callable[..., Any]:
        """Return the method that a class gets."""
        kind = next(one for one in (Sync, Async, Pure) if issubclass(cls, one))
        function = {Sync: self.sync, Async: self.asynchronous, Pure: self.pure}[kind]()
        update_wrapper(function, self.build)
        function.__qualname__ = f"{cls.__qualname__}.{name}"
        function.__name__ = name
        function.__doc__ = self.__doc__
        # What `help` and `inspect.signature` show.
        described: Any = FunctionType(
            self.build.__code__, self.build.__globals__, name, self.build.__defaults__
        )
        described.__kwdefaults__ = self.build.__kwdefaults__
        result = self.build.__annotations__["return"]
        described.__annotations__ = {
            **self.build.__annotations__,
            "return": self.results.get(kind) or _result(result, kind),
        }
        function.__wrapped__ = described  # type: ignore[attr-defined]
        return function

    def pure(self) -> Callable[..., Any]:
        """Return a function that builds."""
        build = self.build

        def function(self: Any, /, *args: Any, **kwargs: Any) -> Any:
            args, kwargs = checks.arguments(build, self.guards, args, kwargs)
            return build(self, *args, **kwargs)

        return function

    def sync(self) -> Callable[..., Any]:
        """Return a function that runs."""
        build = self.build

        def function(self: Any, /, *args: Any, **kwargs: Any) -> Any:
            args, kwargs = checks.arguments(build, self.guards, args, kwargs)
            return self.runner.perform(build(self, *args, **kwargs))

        return function

    def asynchronous(self) -> Callable[..., Any]:
        """Return a coroutine function."""
        build = self.build

        async def function(self: Any, /, *args: Any, **kwargs: Any) -> Any:
            args, kwargs = checks.arguments(build, self.guards, args, kwargs)
            await self.runner.known_dialect()
            return await self.runner.perform(build(self, *args, **kwargs))

        return function


class Kind:
    """What a class with methods does with them: those it has described become functions of it."""

    guards: Guards

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        members = {
            name: member for owner in reversed(cls.__mro__) for name, member in vars(owner).items()
        }
        for name, member in members.items():
            if isinstance(member, Described):
                setattr(cls, name, member.function_of(cls, name))


class Pure(Kind):
    """Methods are built and not run."""


class Sync(Kind):
    """Methods run, and return when smolvm has ended."""


class Async(Kind):
    """Methods are coroutine functions."""


class DescribedStream(Described):
    """A function whose command's output is wanted as it comes."""

    results = {Sync: "ExecStream", Async: "AsyncExecStream"}  # noqa: RUF012

    def sync(self) -> Callable[..., Any]:
        """Return a function that returns a stream of the command."""
        build = self.build

        def function(self: Any, /, *args: Any, **kwargs: Any) -> Any:
            args, kwargs = checks.arguments(build, self.guards, args, kwargs)
            return self._stream_type(self.runner, build(self, *args, **kwargs))

        return function

    def asynchronous(self) -> Callable[..., Any]:
        """Return a function that returns a stream of the command, once it can be built."""
        build = self.build

        def function(self: Any, /, *args: Any, **kwargs: Any) -> Any:
            args, kwargs = checks.arguments(build, self.guards, args, kwargs)
            return self._stream_type(self.runner, partial(build, self, *args, **kwargs))

        return function


class DescribedHandle(Described):
    """A function that takes what another one takes, and returns a machine handle."""

    results = {Sync: "Machine", Async: "AsyncMachine", Pure: "Any"}  # noqa: RUF012

    def __init__(self, creation: Described, doc: str) -> None:
        super().__init__(creation.build)
        self.__doc__ = doc

    def sync(self) -> Callable[..., Any]:
        """Return a function that returns a handle, of whatever kind."""
        build = self.build

        def function(self: Any, /, name: str, **options: Any) -> Any:
            (name,), options = checks.arguments(build, self.guards, (name,), options)
            return self.handle_type(self, name, options)

        return function

    asynchronous = pure = sync


if TYPE_CHECKING:

    class Streams(Protocol[Stream_co]):
        """A class that has streams of its own kind."""

        @property
        def _stream_type(self) -> Callable[..., Stream_co]: ...

    class Handles(Protocol[Handle_co]):
        """A class that has handles of its own kind."""

        @property
        def handle_type(self) -> Callable[..., Handle_co]:
            """What makes one."""

    class method(Described, Generic[P, R, Built]):  # noqa: N801 - a decorator, like property
        """A command or plan, described once."""

        @overload
        def __init__(
            self: method[P, R, Command[R]], build: Callable[Concatenate[Any, P], Command[R]]
        ) -> None: ...
        @overload
        def __init__(
            self: method[P, R, Plan[R]], build: Callable[Concatenate[Any, P], Plan[R]]
        ) -> None: ...
        def __init__(self, build: Callable[..., Any]) -> None: ...

        @overload
        def __get__(
            self, instance: None, owner: type[Sync]
        ) -> Callable[Concatenate[Any, P], R]: ...
        @overload
        def __get__(
            self, instance: None, owner: type[Async]
        ) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, R]]: ...
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
        def __get__(self, instance: Any, owner: Any = None) -> Any: ...

    class streaming(Described, Generic[P]):  # noqa: N801 - a decorator, like property
        """A command whose output is wanted as it comes."""

        def __init__(
            self, build: Callable[Concatenate[Any, P], Command[SmolvmRunResult]]
        ) -> None: ...

        @overload
        def __get__(
            self, instance: None, owner: type[Streams[Stream]]
        ) -> Callable[Concatenate[Any, P], Stream]: ...
        @overload
        def __get__(
            self, instance: None, owner: Any = None
        ) -> Callable[Concatenate[Any, P], Command[SmolvmRunResult]]: ...
        @overload
        def __get__(self, instance: Streams[Stream], owner: Any = None) -> Callable[P, Stream]: ...
        @overload
        def __get__(
            self, instance: Pure, owner: Any = None
        ) -> Callable[P, Command[SmolvmRunResult]]: ...
        def __get__(self, instance: Any, owner: Any = None) -> Any: ...

    class handle(Generic[P]):  # noqa: N801 - used like the decorators above
        """A method that takes what another one takes, and returns a machine handle."""

        def __init__(self, creation: method[P, Any, Any], doc: str) -> None: ...

        @overload
        def __get__(self, instance: None, owner: Any = None) -> Callable[..., Any]: ...
        @overload
        def __get__(self, instance: Handles[Handle], owner: Any = None) -> Callable[P, Handle]: ...
        def __get__(self, instance: Any, owner: Any = None) -> Any: ...

else:
    method, streaming, handle = Described, DescribedStream, DescribedHandle


def do(command: Command[R]) -> Plan[R]:
    """Make a command a step of a plan, and return its result: `yield from` this."""
    result: R = yield command
    return result


def _result(annotation: str, kind: type) -> str:
    """Return what a client's caller gets: the R of a `Command[R]` or `Plan[R]`."""
    return annotation if kind is Pure else annotation.partition("[")[2].removesuffix("]")
