"""The async client: what the sync one does, in threads, and awaited.

A cancelled call kills smolvm's process group, unless it must not be killed; then the cancellation
waits for its end, however often it comes. In a thread, nothing that happens to the event loop (a
second Ctrl-C ends it in the middle of anything) keeps a machine from being torn down.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from functools import partial

from smolvm_wrapper.command import Command
from smolvm_wrapper.commands import CommandSet
from smolvm_wrapper.errors import SmolvmError
from smolvm_wrapper.interruptions import Held
from smolvm_wrapper.machine import MachineHandle
from smolvm_wrapper.methods import Async
from smolvm_wrapper.processes import Interrupted
from smolvm_wrapper.running import ASK_VERSION, Job, Runner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
    from typing import Any, Self, TypeVar

    from smolvm_wrapper.command import StrPath
    from smolvm_wrapper.dialects import Dialect
    from smolvm_wrapper.durations import Duration
    from smolvm_wrapper.guards import Guards
    from smolvm_wrapper.methods import Plan
    from smolvm_wrapper.processes import Leash, Output
    from smolvm_wrapper.results import SmolvmRunResult

    R = TypeVar("R")

# What a stream's reader may be ahead of whoever asks for it.
_CHUNKS_AHEAD = 16
# How often a reader that waits for room looks whether anybody still wants anything.
_GLANCE_SECONDS = 0.5


class AsyncExecStream:
    """The output of a command in a machine, as it comes: ("stdout" or "stderr", bytes).

    Attributes:
        result: how it ended, once everything has come; of the output it has the end of stderr only.
    """

    def __init__(self, runner: AsyncRunner, build: Callable[[], Command[SmolvmRunResult]]) -> None:
        self.result: SmolvmRunResult | None = None
        self._output = self._outputs(runner, build)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Output:
        return await anext(self._output)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Kill smolvm if it still runs, and with it (unless it has stdin) the guest's command."""
        await self._output.aclose()

    async def _outputs(
        self, runner: AsyncRunner, build: Callable[[], Command[SmolvmRunResult]]
    ) -> AsyncGenerator[Output, None]:
        await runner.known_dialect()
        ahead = _Ahead()
        job = Job(partial(ahead.fill, runner, build()), ahead.tell)
        try:
            while (output := await ahead.next()) is not None:
                yield output
        finally:
            job.leash.pull()
            ahead.has_room.release(_CHUNKS_AHEAD)
            await _over(job, ahead.over)
        self.result = job.outcome(None)
        if self.result.speaker == "smolvm":
            self.result.check()


class AsyncMachine(MachineHandle, Async):
    """A handle on one machine of an `AsyncSmolvm`."""

    _stream_type = AsyncExecStream

    def __init__(self, client: AsyncSmolvm, name: str, options: Mapping[str, Any]) -> None:
        super().__init__(client, name, options)
        self.runner = client.runner

    async def __aenter__(self) -> Self:
        await self.runner.known_dialect()
        try:
            await self.runner.in_background(
                partial(self._up, self.runner, self._creation()), hold=True
            )
        except GeneratorExit:  # nobody awaits this any more; what goes on in the thread undoes it
            raise
        except BaseException as error:
            await self._undo(error)
            raise
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        await self._undo(error)

    async def _undo(self, error: BaseException | None) -> None:
        interruption: BaseException | None = None
        while self._is_up():
            try:
                await self.runner.in_background(partial(self._down, self.runner), hold=True)
            except SmolvmError as failed:
                if error is None:
                    raise
                error.add_note(f"{self} could not be torn down: {failed}")
                return
            except GeneratorExit:
                raise
            except BaseException as raised:  # noqa: BLE001 - and if it had not begun, it does now
                interruption = interruption or raised
        if interruption is not None:
            raise interruption


class AsyncSmolvm(CommandSet, Async):
    """smolvm, run and awaited: `await AsyncSmolvm().machine_start("vm")`.

    Args:
        binary: the smolvm to run, a path or a name on PATH; by default `$SMOLVM_BINARY`, else
            "smolvm".
        version: its version, such as "1.4.0"; by default it is asked, once, before the first
            command.
        guards: which traps to defuse; all by default.
        host_timeout: after which any smolvm is killed with its process group; no limit by default,
            and never while a context manager brings a machine up or tears it down. A machine that
            was just starting may stay behind (H16).

    Raises:
        UsageError: one of them is not what is wanted.
    """

    handle_type = AsyncMachine
    _stream_type = AsyncExecStream

    def __init__(
        self,
        binary: StrPath | None = None,
        *,
        version: str | None = None,
        guards: Guards | None = None,
        host_timeout: Duration | None = None,
    ) -> None:
        self.runner = AsyncRunner(binary, version, guards, host_timeout)
        super().__init__(self.runner.guards)

    def __repr__(self) -> str:
        return f"AsyncSmolvm({self.runner.binary!r})"

    @property
    def version(self) -> Awaitable[str]:
        """`await client.version`: of this smolvm; asked once, unless it was given."""
        return _Version(self.runner)

    @property
    def dialect(self) -> Dialect:
        """How this version of smolvm is spoken to; known from the first command on.

        Raises:
            SmolvmError: it is not known yet.
        """
        dialect = self.runner.dialect
        if dialect is None:
            raise SmolvmError("no command has run yet: the version of smolvm is not known")
        return dialect

    def is_available(self) -> bool:
        """Return whether there is such a binary."""
        from shutil import which

        return which(self.runner.binary) is not None


class AsyncRunner(Runner):
    """Runs smolvm in threads, and awaits it."""

    def __init__(
        self,
        binary: StrPath | None,
        version: str | None,
        guards: Guards | None,
        host_timeout: Duration | None,
    ) -> None:
        super().__init__(binary, version, guards, host_timeout)
        self._asking = threading.Lock()
        self._said = ""

    async def known_dialect(self) -> Dialect:
        """Return the dialect; the first time, smolvm is asked for its version."""
        if self.dialect is None:
            said = await self.in_background(self._ask)
            return self.dialect or self.learn(said)
        return self.dialect

    def _ask(self, leash: Leash) -> str:
        with self._asking:
            self._said = self._said or self.carry_out(ASK_VERSION, leash)
            return self._said

    async def perform(self, built: Command[R] | Plan[R]) -> R:
        """Run a command or plan to its end, and return what comes of it."""
        hold = not isinstance(built, Command) or built.must_finish
        return await self.in_background(partial(self.carry_out, built), hold=hold)

    async def in_background(self, work: Callable[[Leash], R], *, hold: bool = False) -> R:
        """Await something in a thread of its own, to its end, however often that is cancelled.

        Args:
            work: what.
            hold: keep what signal handlers raise out of the event loop until then.

        Raises:
            BaseException: what it raised, or (once it is over) what cancelled the waiting.
        """
        loop = asyncio.get_running_loop()
        over = loop.create_future()
        if not hold:
            job = Job(work, partial(_tell, loop, over))
            return job.outcome(await _over(job, over))
        with Held() as held:
            job = Job(work, partial(_tell, loop, over))
            held.pulls(job.leash)
            interruption = await _over(job, over)
        return job.outcome(held.raised or interruption)


class _Version:
    """To be awaited, or not: whatever looks at all attributes, as mocks do, leaves no coroutine."""

    def __init__(self, runner: AsyncRunner) -> None:
        self._runner = runner

    def __await__(self) -> Generator[Any, None, str]:
        dialect = yield from self._runner.known_dialect().__await__()
        return dialect.version


class _Ahead:
    """What a thread has read of a stream, and the async side has not yet asked for."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._outputs: asyncio.Queue[Output | None] = asyncio.Queue()
        self.over = self._loop.create_future()
        self.has_room = threading.Semaphore(_CHUNKS_AHEAD)

    def fill(
        self, runner: Runner, command: Command[SmolvmRunResult], leash: Leash
    ) -> SmolvmRunResult:
        """Run a command and put what it prints here: in a thread."""
        stream = runner.stream(command, leash)
        while True:
            try:
                output = next(stream)
            except StopIteration as end:
                result: SmolvmRunResult = end.value
                return result
            while not self.has_room.acquire(timeout=_GLANCE_SECONDS):
                if leash.pulled:
                    raise Interrupted
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._outputs.put_nowait, output)

    def tell(self) -> None:
        """Say that there is no more."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._outputs.put_nowait, None)
        _tell(self._loop, self.over)

    async def next(self) -> Output | None:
        """Return what came next; None is the end."""
        output = await self._outputs.get()
        self.has_room.release()
        return output


def _tell(loop: asyncio.AbstractEventLoop, over: asyncio.Future[None]) -> None:
    def tell() -> None:
        if not over.done():
            over.set_result(None)

    with suppress(RuntimeError):  # the loop is closed, and nobody waits
        loop.call_soon_threadsafe(tell)


async def _over(job: Job[Any], over: asyncio.Future[None]) -> BaseException | None:
    """Wait until a job is over, and return what interrupted that; the job is told of it."""
    interruption: BaseException | None = None
    while not job.over:
        try:
            await asyncio.wait([over])
        except GeneratorExit:
            job.leash.pull()
            raise
        except BaseException as error:  # noqa: BLE001 - cancelled, or a second Ctrl-C
            interruption = interruption or error
            job.leash.pull()
    return interruption
