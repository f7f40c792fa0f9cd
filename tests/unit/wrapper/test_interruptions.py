"""Whatever interrupts, and however often: a step that runs is finished, then undone."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.waiting import alive, eventually

from smolvm_wrapper import AsyncSmolvm, Smolvm, SmolvmError
from smolvm_wrapper.running import Job

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

REPOSITORY = Path(__file__).parents[3]
START, STOP = ["machine", "start", "--name", "vm"], ["machine", "stop", "--name", "vm"]
CREATE, DELETE = ["machine", "create", "vm"], ["machine", "delete", "-f", "vm"]

GATED = "if {step!r} in args:\n    wait()\n    note('done')\n"
CALLS = {
    "create": [CREATE, ["done"], STOP, DELETE],
    "start": [CREATE, START, ["done"], STOP, DELETE],
    "body": [CREATE, START, STOP, DELETE],
    "stop": [CREATE, START, STOP, ["done"], DELETE],
    "delete": [CREATE, START, STOP, DELETE, ["done"]],
}
TIMES = [1, 2, 5]


@pytest.fixture(autouse=True)
def nothing_is_left_to_do() -> Iterator[None]:
    yield
    assert eventually(lambda: not Job.unfinished)


def reached(stub: Any, step: str) -> bool:
    return any(step in call for call in stub.calls)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - another process does it
        await asyncio.sleep(0.01)


async def use(stub: Any, in_body: asyncio.Event, forever: bool) -> None:
    async with AsyncSmolvm(stub.path, version="0.8.0").machine("vm"):
        in_body.set()
        if forever:
            await asyncio.Event().wait()


async def at_step(stub: Any, step: str, in_body: asyncio.Event) -> None:
    await (in_body.wait() if step == "body" else until(lambda: reached(stub, step)))


@pytest.mark.parametrize("step", CALLS)
@pytest.mark.parametrize("times", TIMES)
@pytest.mark.parametrize("turns", [0, 3])
def test_cancelled(stub: Any, step: str, times: int, turns: int) -> None:
    """So many turns of the event loop between two cancellations."""
    stub.does(GATED.format(step=step))

    async def main() -> None:
        in_body = asyncio.Event()
        task = asyncio.create_task(use(stub, in_body, step == "body"))
        await at_step(stub, step, in_body)
        for _ in range(times):
            task.cancel()
            for _ in range(turns):
                await asyncio.sleep(0)
        stub.gate.touch()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert stub.calls == CALLS[step]


@pytest.mark.parametrize("times", TIMES)
def test_cancelled_in_the_body_and_then_at_every_step_of_tearing_down(
    stub: Any, times: int
) -> None:
    stub.does("if args[1] in ('stop', 'delete'):\n    wait()")

    async def main() -> None:
        in_body = asyncio.Event()
        task = asyncio.create_task(use(stub, in_body, forever=True))
        for step in ("body", "stop", "delete"):
            await at_step(stub, step, in_body)
            for _ in range(times):
                task.cancel()
                await asyncio.sleep(0)
            stub.gate.touch()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert stub.calls == CALLS["body"]


@pytest.mark.parametrize("step", CALLS)
def test_a_task_group_that_fails(stub: Any, step: str) -> None:
    stub.does(GATED.format(step=step))

    async def fail(in_body: asyncio.Event) -> None:
        await at_step(stub, step, in_body)
        stub.gate.touch()
        raise LookupError("the other task")

    async def main() -> None:
        in_body = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(use(stub, in_body, step == "body"))
            group.create_task(fail(in_body))

    with pytest.raises(ExceptionGroup, match="unhandled errors") as failure:
        asyncio.run(main())
    assert failure.group_contains(LookupError)
    assert stub.calls == CALLS[step]


@pytest.mark.parametrize("step", CALLS)
def test_time_limits_around_each_other(stub: Any, step: str) -> None:
    stub.does(GATED.format(step=step))

    async def main() -> None:
        in_body = asyncio.Event()

        async def expire(*limits: asyncio.Timeout) -> None:
            await at_step(stub, step, in_body)
            for limit in limits:
                limit.reschedule(asyncio.get_running_loop().time())
            await until(lambda: all(limit.expired() for limit in limits))
            stub.gate.touch()

        with pytest.raises(TimeoutError):  # noqa: PT012 - they are around what they limit
            async with asyncio.timeout(None) as outer, asyncio.timeout(None) as inner:
                expiring = asyncio.create_task(expire(outer, inner))
                await use(stub, in_body, step == "body")
        await expiring
        task = asyncio.current_task()
        assert task
        assert task.cancelling() == 0

    asyncio.run(main())
    assert stub.calls == CALLS[step]


ALONE: dict[str, Callable[[AsyncSmolvm], Awaitable[Any]]] = {
    "create": lambda client: client.machine_create("vm"),
    "start": lambda client: client.machine_start("vm"),
    "stop": lambda client: client.machine_stop("vm"),
    "delete": lambda client: client.machine_delete("vm"),
}


@pytest.mark.parametrize("step", ALONE)
@pytest.mark.parametrize("times", TIMES)
def test_a_lone_command_that_must_finish(stub: Any, step: str, times: int) -> None:
    stub.does(GATED.format(step=step))

    async def main() -> None:
        act = asyncio.ensure_future(ALONE[step](AsyncSmolvm(stub.path, version="0.8.0")))
        await until(lambda: reached(stub, step))
        for _ in range(times):
            act.cancel()
            await asyncio.sleep(0)
        stub.gate.touch()
        with pytest.raises(asyncio.CancelledError):
            await act

    asyncio.run(main())
    assert stub.calls[-1] == ["done"]


@pytest.mark.parametrize("how", ["exec", "stream", "next"])
@pytest.mark.parametrize("times", TIMES)
def test_a_cancelled_exec_is_killed(stub: Any, how: str, times: int) -> None:
    stub.does("os.write(1, b'x'); note(os.getpid()); time.sleep(600)")

    async def main() -> None:
        client = AsyncSmolvm(stub.path, version="0.8.0")

        async def streamed() -> None:
            async with client.stream("vm", ["x"]) as stream:
                async for _ in stream:
                    pass

        ways = {
            "exec": lambda: client.machine_exec("vm", ["x"]),
            "stream": streamed,
            "next": lambda: anext(aiter(client.stream("vm", ["x"]))),
        }
        act = asyncio.ensure_future(ways[how]())
        await until(lambda: len(stub.calls) == 2)
        if how == "next":
            await act
            return
        for _ in range(times):
            act.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await act

    asyncio.run(main())
    assert eventually(lambda: not alive(stub.calls[-1][0]))


def test_a_cancelled_exec_whose_grandchild_holds_the_pipes(stub: Any) -> None:
    stub.does("if not os.fork(): os.setsid()\nnote(os.getpid()); time.sleep(600)")

    async def main() -> None:
        act = asyncio.ensure_future(
            AsyncSmolvm(stub.path, version="0.8.0").machine_exec("vm", ["x"])
        )
        await until(lambda: len(stub.calls) == 3)
        act.cancel()
        with pytest.raises(asyncio.CancelledError):
            await act

    asyncio.run(main())
    pids = [call[0] for call in stub.calls[1:]]
    assert eventually(lambda: sum(map(alive, pids)) == 1)  # the one that left the group
    for pid in filter(alive, pids):
        os.kill(pid, signal.SIGKILL)


def test_cancelled_while_the_version_is_asked(stub: Any) -> None:
    stub.does("if '--version' in args: wait(); print('smolvm 0.8.0')")

    async def main() -> None:
        client = AsyncSmolvm(stub.path)
        act = asyncio.ensure_future(client.machine_start("vm"))
        await until(lambda: reached(stub, "--version"))
        act.cancel()
        with pytest.raises(asyncio.CancelledError):
            await act
        stub.gate.touch()
        assert await client.machine_start("vm")

    asyncio.run(main())
    assert stub.calls == [["--version"], ["--version"], START]


@pytest.mark.parametrize("step", ["create", "start"])
def test_a_coroutine_that_is_thrown_away_leaves_no_machine(stub: Any, step: str) -> None:
    """As when the event loop is closed in the middle."""
    stub.does(GATED.format(step=step))

    async def main() -> None:
        coroutine = use(stub, asyncio.Event(), forever=True)
        coroutine.send(None)
        await until(lambda: reached(stub, step))
        coroutine.close()
        stub.gate.touch()

    asyncio.run(main())
    assert eventually(lambda: stub.calls == CALLS[step])


def test_a_tear_down_that_fails_is_told_of_when_interrupted(stub: Any) -> None:
    stub.does("if 'stop' in args: wait(); sys.exit('Error: stuck')")

    async def main() -> None:
        in_body = asyncio.Event()
        task = asyncio.create_task(use(stub, in_body, forever=False))
        await until(lambda: reached(stub, "stop"))
        task.cancel()
        await asyncio.sleep(0)
        stub.gate.touch()
        with pytest.raises(asyncio.CancelledError) as failure:
            await task
        assert "stuck" in "".join(failure.value.__notes__)

    asyncio.run(main())


# --- Ctrl-C: in a process of its own, whatever this one inherited ---

PROGRAMS = {
    "sync": """
        with Smolvm(path, version="0.8.0").machine("vm"):
            body()
    """,
    "async": """
        async def main():
            async with AsyncSmolvm(path, version="0.8.0").machine("vm"):
                print("body", flush=True)
                if forever:
                    await asyncio.Event().wait()
        asyncio.run(main())
    """,
}


@contextmanager
def program(stub: Any, body: str, *, forever: bool) -> Iterator[subprocess.Popen[str]]:
    text = f"""
import asyncio, signal, threading
from smolvm_wrapper import *
# A background job of a shell ignores it, and so do its children.
signal.signal(signal.SIGINT, signal.default_int_handler)
path, forever = {str(stub.path)!r}, {forever}
def body():
    print("body", flush=True)
    if forever:
        threading.Event().wait()
""" + textwrap.dedent(PROGRAMS[body])
    with subprocess.Popen(
        [sys.executable, "-c", text],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as user:
        try:
            yield user
        finally:
            user.kill()


def interrupt(user: subprocess.Popen[str]) -> None:
    """Send SIGINT, and wait until it has been taken: two that wait would be one."""
    user.send_signal(signal.SIGINT)
    status = Path(f"/proc/{user.pid}/status")
    if status.exists():
        assert eventually(
            lambda: (
                user.poll() is not None
                or not any(
                    int(line.split()[1], 16) & 1 << signal.SIGINT - 1
                    for line in status.read_text().splitlines()
                    if line.startswith(("SigPnd", "ShdPnd"))
                )
            )
        )


@pytest.mark.parametrize("step", CALLS)
@pytest.mark.parametrize("times", TIMES)
@pytest.mark.parametrize("body", PROGRAMS)
def test_ctrl_c(stub: Any, step: str, times: int, body: str) -> None:
    stub.does("if 'stop' in args: wait()" if step == "body" else GATED.format(step=step))
    with program(stub, body, forever=step == "body") as user:
        assert user.stdout
        if step == "body":
            assert user.stdout.readline() == "body\n"
        else:
            assert eventually(lambda: reached(stub, step))
        interrupt(user)
        if step == "body":
            # Before the first has led anywhere, asyncio itself may lose a second one, and wait on.
            assert eventually(lambda: reached(stub, "stop"))
        for _ in range(times - 1):
            interrupt(user)
        stub.gate.touch()
        _, stderr = user.communicate(timeout=120)
        assert "KeyboardInterrupt" in stderr
        assert user.returncode != 0
        assert stub.calls == CALLS[step]


PROGRAMS_THAT_LEAVE = {
    "exec": """
        loop = asyncio.new_event_loop()
        task = loop.create_task(AsyncSmolvm(path, version="0.8.0").machine_exec("vm", ["x"]))
        loop.run_until_complete(asyncio.sleep(0))
    """,
    "stream": """
        loop = asyncio.new_event_loop()
        stream = AsyncSmolvm(path, version="0.8.0").stream("vm", ["x"])
        loop.run_until_complete(anext(stream))
    """,
}


@pytest.mark.parametrize("left", PROGRAMS_THAT_LEAVE)
def test_an_interpreter_that_ends_leaves_no_command_behind(stub: Any, left: str) -> None:
    stub.does("note(os.getpid())\nwhile True: os.write(1, b'x' * 65536); time.sleep(0.001)")
    text = f"""
import asyncio
from smolvm_wrapper import *
path = {str(stub.path)!r}
""" + textwrap.dedent(PROGRAMS_THAT_LEAVE[left])
    subprocess.run(
        [sys.executable, "-c", text], cwd=REPOSITORY, check=True, timeout=120, capture_output=True
    )
    assert all(eventually(lambda pid=call[0]: not alive(pid)) for call in stub.calls[1:])


def test_a_forked_child_holds_nothing_back(stub: Any) -> None:
    stub.does(GATED.format(step="start"))
    children: list[int] = []

    def fork() -> None:
        assert eventually(lambda: reached(stub, "start"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # from 3.12 on, of the other threads
            child = os.fork()
        if not child:
            held = signal.getsignal(signal.SIGINT) is not signal.default_int_handler
            os._exit(int(held))
        children.append(child)
        stub.gate.touch()

    forking = threading.Thread(target=fork)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        forking.start()
        Smolvm(stub.path, version="0.8.0").machine_start("vm")
        forking.join()
    finally:
        signal.signal(signal.SIGINT, before)
    assert os.waitpid(children[0], 0)[1] == 0


def test_signal_handlers_may_raise_anything(stub: Any) -> None:
    """pytest-timeout does so, and everybody who uses SIGALRM."""
    stub.does(GATED.format(step="start"))

    def handler(*_: object) -> None:
        raise LookupError("mine")

    def send() -> None:
        assert eventually(lambda: reached(stub, "start"))
        for _ in range(3):
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
        stub.gate.touch()

    before = signal.signal(signal.SIGUSR1, handler)
    sending = threading.Thread(target=send)
    try:
        sending.start()
        with (
            pytest.raises(LookupError, match="mine"),
            Smolvm(stub.path, version="0.8.0").machine("vm"),
        ):
            pytest.fail("came into the body")
        sending.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert stub.calls == CALLS["start"]


def test_without_threads_it_is_done_in_this_one(stub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_more(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    stub.does("")
    monkeypatch.setattr(threading.Thread, "start", no_more)
    asyncio.run(use(stub, asyncio.Event(), forever=False))
    assert stub.calls == CALLS["body"]


def test_without_descriptors_it_is_told_of(
    client: Any, stub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_more() -> tuple[int, int]:
        raise OSError(24, "Too many open files")

    stub.does("")
    monkeypatch.setattr(os, "pipe", no_more)
    with pytest.raises(SmolvmError, match="could not be started: Too many open files"):
        client(stub.path).machine_start("vm")
