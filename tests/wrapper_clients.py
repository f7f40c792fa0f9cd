"""One face for the sync and the async client, so that one suite holds for both."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Self

from smolvm_wrapper import AsyncSmolvm, Smolvm
from smolvm_wrapper.methods import Described

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

KINDS = ("sync", "async")


class Face:
    """Whatever a client or handle gives, awaited if need be."""

    def __init__(self, thing: Any, runner: asyncio.Runner) -> None:
        self.thing = thing
        self._runner = runner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.thing, name)
        if not callable(found):
            return self._settle(found)
        return lambda *args, **kwargs: self._settle(found(*args, **kwargs))

    def __enter__(self) -> Self:
        thing = self.thing
        entered = (
            thing.__enter__() if hasattr(thing, "__enter__") else self._run(thing.__aenter__())
        )
        assert entered is thing
        return self

    def __exit__(self, *exc: object) -> None:
        thing = self.thing
        if hasattr(thing, "__exit__"):
            thing.__exit__(*exc)
        else:
            self._run(thing.__aexit__(*exc))

    def __iter__(self) -> Iterator[Any]:
        if hasattr(self.thing, "__iter__"):
            yield from self.thing
            return
        items = aiter(self.thing)
        while True:
            try:
                yield self._run(anext(items))
            except StopAsyncIteration:
                return

    def close(self) -> None:
        self.thing.close() if hasattr(self.thing, "close") else self._run(self.thing.aclose())

    def _settle(self, thing: Any) -> Any:
        if inspect.isawaitable(thing):
            return self._run(thing)
        if type(thing).__name__ in ("Machine", "AsyncMachine", "ExecStream", "AsyncExecStream"):
            return Face(thing, self._runner)
        return thing

    def _run(self, awaitable: Any) -> Any:
        async def wait() -> Any:
            return await awaitable

        return self._runner.run(wait())


def make(kind: str, runner: asyncio.Runner, *args: Any, **kwargs: Any) -> Any:
    return Face({"sync": Smolvm, "async": AsyncSmolvm}[kind](*args, **kwargs), runner)


def described(owner: type) -> dict[str, Described]:
    """Return the methods that a class has from its own description or from those it is made of."""
    return dict(inspect.getmembers_static(owner, lambda member: isinstance(member, Described)))
