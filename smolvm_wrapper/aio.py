"""The async client. A cancelled call kills smolvm's process group, unless it must not be killed."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import time
from functools import partial
from typing import Any, TypeVar

from smolvm_wrapper.command import Command, Finished, Pause, StrPath
from smolvm_wrapper.commands import CommandSet
from smolvm_wrapper.errors import SmolvmError
from smolvm_wrapper.machine import MachineHandle
from smolvm_wrapper.methods import Async, Plan
from smolvm_wrapper.processes import CHUNK, LAST_WORDS_SECONDS, TAIL, Feeder, kill_group
from smolvm_wrapper.running import ASK_VERSION, Runner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncGenerator, Callable, Collection, Coroutine, Mapping
    from typing import Self

    from smolvm_wrapper.dialects import Dialect
    from smolvm_wrapper.durations import Duration
    from smolvm_wrapper.guards import Guards
    from smolvm_wrapper.processes import Output, Stream
    from smolvm_wrapper.results import SmolvmRunResult

R = TypeVar("R")


class AsyncMachine(MachineHandle, Async):
    """A handle on one machine of an `AsyncSmolvm`."""

    def __init__(self, client: AsyncSmolvm, name: str, options: Mapping[str, Any]) -> None:
        super().__init__(client, name, options)
        self.runner = client.runner

    async def __aenter__(self) -> Self:
        await self.runner.known_dialect()
        try:
            await self.runner.follow(self._bring_up(), protected=True)
        except BaseException as error:
            await self._undo(error)
            raise
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        await self._undo(error)

    async def _undo(self, error: BaseException | None) -> None:
        try:
            await self.runner.follow(self._tear_down(), protected=True, hold=True)
        except SmolvmError as failed:
            if error is None:
                raise
            error.add_note(f"{self} could not be torn down: {failed}")


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
    """

    handle_type = AsyncMachine

    def __init__(
        self,
        binary: StrPath | None = None,
        *,
        version: str | None = None,
        guards: Guards | None = None,
        host_timeout: Duration | None = None,
    ) -> None:
        self.runner = AsyncRunner(binary, version, guards, host_timeout)
        self.guards = self.runner.guards

    def __repr__(self) -> str:
        return f"AsyncSmolvm({self.runner.binary!r})"

    @property
    def version(self) -> Coroutine[Any, Any, str]:
        """`await client.version`: of this smolvm; asked once, unless it was given."""
        return self._version()

    async def _version(self) -> str:
        return (await self.runner.known_dialect()).version

    @property
    def dialect(self) -> Dialect:
        """How this version of smolvm is spoken to; known from the first command on."""
        dialect = self.runner.dialect
        if dialect is None:
            raise SmolvmError("no command has run yet: the version of smolvm is not known")
        return dialect

    def is_available(self) -> bool:
        """Whether there is such a binary."""
        return shutil.which(self.runner.binary) is not None


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
        command = build()
        last = b""
        limit = runner.limit(command)
        process, feeder = await runner.spawn(command)
        outputs = _outputs(process, limit)
        exceeded = None
        try:
            async for output in outputs:
                if output[0] == "stderr":
                    last = (last + output[1])[-TAIL:]
                yield output
        except TimeoutError:
            exceeded = limit
        finally:
            await outputs.aclose()
        done = runner.finished(
            command, _returncode(process), (b"", last), feeder=feeder, exceeded=exceeded
        )
        self.result = command.read(done)
        if self.result.speaker == "smolvm":
            self.result.check()


class AsyncRunner(Runner):
    """Runs smolvm, and awaits it."""

    def __init__(
        self,
        binary: StrPath | None,
        version: str | None,
        guards: Guards | None,
        host_timeout: Duration | None,
    ) -> None:
        super().__init__(binary, version, guards, host_timeout)
        self._asking = asyncio.Lock()

    async def known_dialect(self) -> Dialect:
        """The dialect; the first time, smolvm is asked for its version."""
        async with self._asking:
            return self.dialect or self.learn(await self.perform(ASK_VERSION))

    async def perform(self, built: Command[R] | Plan[R]) -> R:
        """Run a command or plan to its end."""
        if not isinstance(built, Command):
            return await self.follow(built)
        done, interruption = await self.run(built)
        if interruption is not None:
            raise interruption
        return built.read(done)

    async def follow(self, plan: Plan[R], *, protected: bool = False, hold: bool = False) -> R:
        """Run a plan.

        Args:
            plan: which.
            protected: no command of it is killed half-way, not even for the `host_timeout`.
            hold: a cancellation waits until all of it is done, not only the present command.
        """
        held: BaseException | None = None
        go_on: Callable[[], Command[Any] | Pause] = partial(next, plan)
        while True:
            try:
                step = go_on()
            except StopIteration as end:
                result: R = end.value
                break
            if held is not None and not hold:
                go_on = partial(plan.throw, held)
                continue
            try:
                if isinstance(step, Pause):
                    await asyncio.sleep(step.seconds)
                    go_on = partial(plan.send, None)
                else:
                    done, interruption = await self.run(step, protected=protected)
                    held = held or interruption
                    go_on = partial(plan.send, step.read(done))
            except BaseException as error:  # noqa: BLE001 - the plan decides
                go_on = partial(plan.throw, error)
        if held is not None:
            raise held
        return result

    async def run(
        self, command: Command[Any], *, protected: bool = False
    ) -> tuple[Finished, BaseException | None]:
        """Run a command; with how it ended comes what cancelled it, if it must not be."""
        limit = None if protected else self.limit(command)
        if not (protected or command.must_finish):
            return await self._run(command, limit), None
        task = asyncio.ensure_future(self._run(command, limit))
        interruption: BaseException | None = None
        while not task.done():
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError as cancelled:
                interruption = cancelled
        return task.result(), interruption

    async def _run(self, command: Command[Any], limit: float | None) -> Finished:
        process, feeder = await self.spawn(command)
        stdout, stderr = bytearray(), bytearray()
        ending = asyncio.gather(
            process.wait(), _collect(process.stdout, stdout), _collect(process.stderr, stderr)
        )
        exceeded = None
        try:
            async with asyncio.timeout(limit):
                await asyncio.shield(ending)
        except TimeoutError:
            exceeded = limit
        finally:
            if not ending.done():
                await _end(process, ending)
        outputs = (bytes(stdout), bytes(stderr))
        return self.finished(
            command, _returncode(process), outputs, feeder=feeder, exceeded=exceeded
        )

    async def spawn(self, command: Command[Any]) -> tuple[Process, Feeder]:
        """Start a command, in a process group of its own unless it wants the terminal."""
        with Feeder(command.stdin) as feeder:
            pipe = None if command.on_terminal else subprocess.PIPE
            try:
                process = await asyncio.create_subprocess_exec(
                    *self.argv(command),
                    stdin=None if command.on_terminal else feeder.stdin,
                    stdout=pipe,
                    stderr=pipe,
                    env=self.environment(),
                    process_group=None if command.on_terminal else 0,
                )
            except OSError as error:
                not_started = error
            else:
                feeder.start(process)
                return process, feeder
        raise self.not_started(command, not_started)


async def _outputs(process: Process, limit: float | None) -> AsyncGenerator[Output, None]:
    """What a process prints, as it comes, until it has ended; left early, it is killed.

    Raises:
        TimeoutError: the limit in seconds was over first.
    """
    deadline = None if limit is None else time.monotonic() + limit
    reading: dict[asyncio.Task[bytes], tuple[Stream, asyncio.StreamReader]] = {}

    def read_on(name: Stream, pipe: asyncio.StreamReader | None) -> None:
        if pipe is not None:
            reading[asyncio.create_task(pipe.read(CHUNK))] = (name, pipe)

    async def one_of(tasks: Collection[asyncio.Task[Any]]) -> set[asyncio.Task[Any]]:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        ready, _ = await asyncio.wait(tasks, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        if not ready:
            raise TimeoutError
        return ready

    read_on("stdout", process.stdout)
    read_on("stderr", process.stderr)
    exited = asyncio.create_task(process.wait())
    try:
        while reading:
            ready = await one_of(reading)
            for task in [task for task in reading if task in ready]:
                name, pipe = reading.pop(task)
                if chunk := task.result():
                    read_on(name, pipe)
                    yield name, chunk
        await one_of([exited])
    finally:
        if reading or not exited.done():
            await _end(process, asyncio.gather(exited, *reading))


async def _collect(pipe: asyncio.StreamReader | None, into: bytearray) -> None:
    while pipe is not None and (chunk := await pipe.read(CHUNK)):
        into += chunk


async def _end(process: Process, ending: asyncio.Future[Any]) -> None:
    """Kill the process group, and hear what it had still to say."""
    kill_group(process)
    try:
        await asyncio.wait([ending], timeout=LAST_WORDS_SECONDS)
    finally:
        if not ending.done():  # somebody who left the group holds its pipes
            ending.cancel()
            process._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001 - no other way


def _returncode(process: Process) -> int:
    return -signal.SIGKILL if process.returncode is None else process.returncode
