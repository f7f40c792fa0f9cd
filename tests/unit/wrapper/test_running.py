"""How processes are run, waited for, fed, streamed, killed and torn down: sync and async alike."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import threading
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.waiting import alive, eventually

from smolvm_wrapper import (
    AsyncSmolvm,
    Guards,
    HostTimeoutError,
    MachineExistsError,
    MachineNotFoundError,
    MachineNotRunningError,
    OutputLimitError,
    Smolvm,
    SmolvmError,
    SmolvmNotFoundError,
    UnknownVersionWarning,
    UsageError,
    processes,
)
from smolvm_wrapper.processes import Deadline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_subprocess import FakeProcess

# --- binary and version ---


def test_binary_is_the_argument_else_the_variable_else_on_path(
    client: Any, stub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub.does("print('mine')")
    monkeypatch.setenv("PATH", str(stub.path.parent), prepend=":")
    assert client().config_show() == "mine\n"
    monkeypatch.setenv("SMOLVM_BINARY", "/bin/echo")
    assert client().config_show() == "config show\n"
    assert client(stub.path).config_show() == "mine\n"


@pytest.mark.parametrize("given", [None, "no-such-smolvm", "/no/such/smolvm", Path("/no/such")])
def test_a_missing_binary_is_told_of(
    client: Any, monkeypatch: pytest.MonkeyPatch, given: Any
) -> None:
    monkeypatch.setenv("PATH", "/nowhere:/neither")
    monkeypatch.setenv("SMOLVM_BINARY", "from-variable")
    one = client(given)
    with pytest.raises(SmolvmNotFoundError) as failure:
        one.machine_exec("vm", ["x"], env={"TOKEN": "hunter2"})
    name = str(given or "from-variable")
    assert (name if "/" in name else f"/nowhere/{name}, /neither/{name}") in str(failure.value)
    assert "hunter2" not in str(failure.value) + str(failure.value.argv)
    assert not one.is_available()


def test_what_is_no_program_is_told_of(client: Any, tmp_path: Path) -> None:
    (tmp_path / "smolvm").write_bytes(b"\x7fELF")
    (tmp_path / "smolvm").chmod(0o755)
    with pytest.raises(SmolvmError, match="could not be started"):
        client(tmp_path / "smolvm").config_show()


def test_version_is_asked_once_and_late(client: Any, stub: Any) -> None:
    stub.does("print('smolvm 1.4.0')")
    one = client(stub.path, version=None)
    assert stub.calls == []
    one.config_show()
    one.machine_start("vm")
    assert one.version == "1.4.0"
    assert stub.calls == [["--version"], ["config", "show"], ["machine", "start", "--name", "vm"]]


def test_a_version_that_was_given_is_not_asked(client: Any, stub: Any) -> None:
    stub.does("")
    one = client(stub.path, version="1.4.0")
    assert one.version == "1.4.0"
    one.machine_delete("vm")
    assert stub.calls[-1] == ["machine", "delete", "-f", "--name", "vm"]
    assert ["--version"] not in stub.calls


@pytest.mark.parametrize("version", ["0.7.2", "2.0.0"])
def test_an_unknown_version_warns_once(client: Any, stub: Any, version: str) -> None:
    stub.does(f"print('smolvm {version}')")
    one = client(stub.path, version=None)
    with pytest.warns(UnknownVersionWarning, match=version) as warned:
        assert [one.config_show(), one.config_show()]
    assert len(warned) == 1


def test_a_smolvm_without_a_version_is_an_error(client: Any, stub: Any) -> None:
    stub.does("print('hello')")
    with pytest.raises(SmolvmError, match="hello"):
        client(stub.path, version=None).machine_start("vm")


def test_many_at_once_ask_for_the_version_once(stub: Any) -> None:
    stub.does("time.sleep(0.05); print('smolvm 0.8.0')")

    async def main() -> None:
        one = AsyncSmolvm(stub.path)
        await asyncio.gather(*(one.config_show() for _ in range(3)))

    asyncio.run(main())
    other = Smolvm(stub.path)
    threads = [threading.Thread(target=other.config_show) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stub.calls.count(["--version"]) == 2


# --- output and input ---


def test_output_is_text_and_bytes(client: Any, stub: Any) -> None:
    stub.does("os.write(1, b'a\\r\\n\\xff'); os.write(2, 'é'.encode()); sys.exit(7)")
    result = client(stub.path).machine_exec("vm", ["x"])
    assert (result.returncode, result.stdout, result.stderr) == (7, "a\r\n\udcff", "é")
    assert (result.stdout_bytes, result.stderr_bytes) == (b"a\r\n\xff", "é".encode())


def test_stdin_is_empty_by_default(client: Any, stub: Any) -> None:
    stub.does("print(repr(sys.stdin.read()))")
    assert client(stub.path).machine_exec("vm", ["x"]).stdout == "''\n"


BIG = b"0123456789" * 50_000


@pytest.mark.parametrize(
    "make",
    [
        lambda _: BIG,
        lambda _: io.BytesIO(BIG),
        lambda _: iter([BIG[:5], b"", BIG[5:]]),
        lambda _: [BIG],
        lambda path: path.write_bytes(BIG) and path.open("rb"),
    ],
    ids=["bytes", "file in memory", "iterator", "list", "file"],
)
def test_stdin(client: Any, stub: Any, tmp_path: Path, make: Callable[[Path], Any]) -> None:
    stub.does("sys.stdout.buffer.write(sys.stdin.buffer.read())")
    source = make(tmp_path / "input")
    assert client(stub.path).machine_exec("vm", ["x"], stdin=source).stdout_bytes == BIG
    assert stub.calls == [["machine", "exec", "--name", "vm", "-i", "--", "x"]]
    if hasattr(source, "close"):
        source.close()


def test_stdin_that_is_not_read_to_its_end(client: Any, stub: Any) -> None:
    stub.does("print(sys.stdin.buffer.read(3))")
    assert client(stub.path).machine_exec("vm", ["x"], stdin=BIG).stdout == "b'012'\n"


def test_an_iterator_that_raises_ends_it_all(client: Any, stub: Any) -> None:
    def broken() -> Iterator[bytes]:
        yield b"x"
        raise LookupError("mine")

    stub.does("sys.stdin.read(); time.sleep(60)")
    with pytest.raises(LookupError, match="mine"):
        client(stub.path).machine_exec("vm", ["x"], stdin=broken())
    with pytest.raises(LookupError, match="mine"):
        list(client(stub.path).stream("vm", ["x"], stdin=broken()))


def test_text_on_stdin_is_refused(client: Any, stub: Any) -> None:
    with pytest.raises(UsageError):
        client(stub.path).machine_exec("vm", ["x"], stdin="text")


# --- streaming ---

TALK = """
for stream, text in ((1, b'one'), (2, b'two'), (1, b'three')):
    os.write(stream, text)
    time.sleep(0.1)
sys.exit(3)
"""


def test_stream(client: Any, stub: Any) -> None:
    stub.does(TALK)
    stream = client(stub.path).stream("vm", ["x"])
    assert stub.calls == []
    outputs = list(stream)
    assert b"".join(said for name, said in outputs if name == "stdout") == b"onethree"
    assert b"".join(said for name, said in outputs if name == "stderr") == b"two"
    assert (stream.result.returncode, stream.result.speaker) == (3, "guest")
    assert stub.calls == [["machine", "exec", "--name", "vm", "--stream", "--", "x"]]


def test_stream_comes_as_it_is_said(client: Any, stub: Any) -> None:
    stub.does("os.write(1, b'early'); sys.stdin.read(); os.write(1, b'late')")
    go_on = threading.Event()

    def answer() -> Iterator[bytes]:
        go_on.wait(60)
        yield b"x"

    said = []
    for output in client(stub.path).stream("vm", ["x"], stdin=answer()):
        said.append(output)
        go_on.set()
    assert said == [("stdout", b"early"), ("stdout", b"late")]


def test_a_stream_left_early_is_killed(client: Any, stub: Any) -> None:
    stub.does("os.write(1, str(os.getpid()).encode()); time.sleep(60)")
    with client(stub.path).stream("vm", ["x"]) as stream:
        _, pid = next(iter(stream))
    assert eventually(lambda: not alive(int(pid)))
    assert stream.result is None


def test_a_stream_ends_with_smolvms_own_failure(client: Any, stub: Any) -> None:
    stub.does("os.write(1, b'first\\n')\nsys.exit('error: io operation failed: connection closed')")
    stream = client(stub.path).stream("vm", ["x"])
    with pytest.raises(SmolvmError, match="connection closed"):
        list(stream)
    stub.does(
        "sys.exit(\"Error: agent operation failed: connect: machine 'vm' is not running. Use\")"
    )
    with pytest.raises(MachineNotRunningError):
        list(client(stub.path).machine("vm").stream(["x"]))


# --- time ---

FAMILY = """
child = os.fork()
if not child:
    time.sleep(600)
print(os.getpid(), child, flush=True)
print('last words', file=sys.stderr, flush=True)
note('said')
time.sleep(600)
"""


@pytest.fixture
def time_is_over(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], bool]], None]:
    """Has a host timeout of 1.5 seconds be over when something has happened, and not before."""

    def when(happened: Callable[[], bool]) -> None:
        left = Deadline.left

        def until(self: Deadline) -> float:
            if self.seconds != 1.5:
                return left(self)
            if happened():
                raise TimeoutError
            return 0.01

        monkeypatch.setattr(Deadline, "left", until)

    return when


@pytest.mark.parametrize("how", ["call", "client", "stream"])
def test_host_timeout_kills_the_group_and_keeps_the_output(
    client: Any, stub: Any, how: str, time_is_over: Any
) -> None:
    said: list[tuple[str, bytes]] = []
    ways = {
        "call": lambda: client(stub.path).machine_exec("vm", ["x"], host_timeout="1500ms"),
        "client": lambda: client(stub.path, host_timeout=1.5).machine_ls(),
        "stream": lambda: said.extend(client(stub.path).stream("vm", ["x"], host_timeout=1.5)),
    }
    stub.does(FAMILY)
    time_is_over(lambda: ["said"] in stub.calls)
    with pytest.raises(HostTimeoutError, match=r"killed after 1\.5 s") as failure:
        ways[how]()
    assert failure.value.stderr == "last words\n"
    stdout = dict(said)["stdout"].decode() if how == "stream" else failure.value.stdout
    assert len(stdout.split()) == 2
    assert eventually(lambda: not any(alive(int(pid)) for pid in stdout.split()))


@pytest.mark.parametrize("limit", [0.05, "50ms", timedelta(milliseconds=50)])
@pytest.mark.parametrize("how", ["call", "stream"])
def test_a_real_host_timeout(client: Any, stub: Any, how: str, limit: Any) -> None:
    stub.does("time.sleep(600)")
    one = client(stub.path, host_timeout=limit)
    with pytest.raises(HostTimeoutError, match=r"killed after 0\.05 s"):
        _ = one.machine_exec("vm", ["x"]) if how == "call" else list(one.stream("vm", ["x"]))


LEFT_THE_GROUP = """
if not os.fork():
    os.setsid()
    note(os.getpid())
{does}
"""


@pytest.mark.parametrize("how", ["call", "stream"])
@pytest.mark.parametrize("floods", [False, True])
def test_a_process_that_left_the_group_does_not_hold_us_up(
    client: Any, stub: Any, time_is_over: Any, how: str, floods: bool
) -> None:
    does = "while True: os.write(1, b'x' * 65536)" if floods else "print('x'); time.sleep(600)"
    stub.does(LEFT_THE_GROUP.format(does=does))
    time_is_over(lambda: len(stub.calls) == 2)
    one = client(stub.path, host_timeout=1.5)
    with pytest.raises(HostTimeoutError):
        _ = one.machine_exec("vm", ["x"]) if how == "call" else list(one.stream("vm", ["x"]))
    left = stub.calls[1][0]
    if not floods:  # nobody reads what it says
        assert alive(left)
    with suppress(ProcessLookupError):
        os.kill(left, signal.SIGKILL)


# --- a flood ---


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(processes, "MOST_OUTPUT", 300_000)
    return 300_000


def test_as_much_as_there_is_room_for(client: Any, stub: Any, room: int) -> None:
    stub.does(f"sys.stdout.buffer.write(b'x' * {room}); sys.stderr.buffer.write(b'x' * {room})")
    result = client(stub.path).machine_exec("vm", ["x"])
    assert (len(result.stdout), len(result.stderr)) == (room, room)


@pytest.mark.parametrize(("stream", "name"), [(1, "stdout"), (2, "stderr")])
@pytest.mark.parametrize("many", ["more", "endless"])
@pytest.mark.usefixtures("room")
def test_more_than_that_is_an_error(
    client: Any, stub: Any, stream: int, name: str, many: str
) -> None:
    rounds = {"more": "range(100)", "endless": "iter(int, 1)"}[many]
    stub.does(f"for _ in {rounds}: os.write({stream}, b'first' + b'x' * 9990 + b'last.')")
    with pytest.raises(OutputLimitError, match=f"more than 64 MiB to {name}") as failure:
        client(stub.path).machine_exec("vm", ["x"])
    assert len(str(failure.value)) < 5_000
    kept = getattr(failure.value, name)
    assert len(kept) < 70_000
    assert kept.startswith("first")
    assert "234464 characters left out" in kept


@pytest.mark.parametrize("how", ["call", "client", "stream"])
@pytest.mark.parametrize("stream", [1, 2])
@pytest.mark.usefixtures("room")
def test_the_host_timeout_holds_while_it_floods(
    client: Any, stub: Any, time_is_over: Any, how: str, stream: int
) -> None:
    stub.does(f"while True: os.write({stream}, b'x' * 65536) and note('x')")
    ways = {
        "call": lambda: client(stub.path).machine_exec("vm", ["x"], host_timeout=1.5),
        "client": lambda: client(stub.path, host_timeout=1.5).machine_ls(),
        "stream": lambda: [0 for _ in client(stub.path).stream("vm", ["x"], host_timeout=1.5)],
    }
    time_is_over(lambda: len(stub.calls) > 50)
    with pytest.raises(HostTimeoutError) as failure:
        ways[how]()
    assert len(str(failure.value)) < 5_000
    assert len(failure.value.stdout) + len(failure.value.stderr) < 140_000


@pytest.mark.usefixtures("room")
def test_what_must_finish_is_not_killed_for_it(client: Any, stub: Any) -> None:
    stub.does("os.write(1, b'x' * 60_000) and [os.write(1, b'x' * 9_999) for _ in range(100)]\n"
              "note('done')")  # fmt: skip
    with pytest.raises(OutputLimitError):
        client(stub.path).machine_start("vm")
    assert stub.calls[-1] == ["done"]


def test_a_stream_has_no_limit(client: Any, stub: Any, room: int) -> None:
    stub.does("for _ in range(100): os.write(1, b'x' * 10_000)")
    assert sum(len(said) for _, said in client(stub.path).stream("vm", ["x"])) > 3 * room


def test_a_stream_that_nobody_reads_waits(stub: Any) -> None:
    """And does not fill the memory instead."""
    stub.does("while True: os.write(1, b'x' * 65536); note('x')")

    async def main() -> None:
        async with AsyncSmolvm(stub.path, version="0.8.0").stream("vm", ["x"]) as stream:
            await anext(stream)
            seen = 0
            while seen != len(stub.calls):
                seen = len(stub.calls)
                await asyncio.sleep(0.5)
            assert seen < 100

    asyncio.run(main())


def test_in_time(client: Any, stub: Any) -> None:
    stub.does("print('ok')")
    assert client(stub.path, host_timeout=30).machine_exec("vm", ["x"]).stdout == "ok\n"


def test_wait_exec_ready(client: Any, stub: Any) -> None:
    stub.does("sys.exit(len(open(log).readlines()) < 3)")
    client(stub.path).wait_exec_ready("vm", timeout="1h")
    assert len(stub.calls) == 3


@pytest.mark.parametrize("timeout", [0, "0s", 0.5])
def test_wait_exec_ready_gives_up(client: Any, stub: Any, timeout: Any) -> None:
    stub.does("sys.exit(1)")
    with pytest.raises(SmolvmError, match="'vm' was not ready"):
        client(stub.path).wait_exec_ready("vm", timeout=timeout)
    assert stub.calls


# --- handles and their context ---

START, STOP = ["machine", "start", "--name", "vm"], ["machine", "stop", "--name", "vm"]
CREATE, DELETE = ["machine", "create", "vm"], ["machine", "delete", "-f", "vm"]
RUNNING = "if 'start' in args: print(\"Machine 'vm' already running (PID: 1)\")\n"
EXISTS = (
    "if 'create' in args:\n"
    "    sys.exit(\"Error: config operation failed: create machine: machine 'vm' already exists\")"
    "\n"
)


def test_handle(client: Any, stub: Any) -> None:
    stub.does("print('said')")
    vm = client(stub.path).machine("vm")
    assert stub.calls == []
    assert vm.start() is True
    assert vm.exec(["x"], env={"A": "b"}, workdir="/w", timeout=3).stdout == "said\n"
    vm.cp_in("file", "/x")
    vm.stop()
    vm.delete()
    assert stub.calls == [
        START,
        ["machine", "exec", "--name", "vm", "-e", "A=b", "-w", "/w", "--timeout", "3s", "--", "x"],
        ["machine", "cp", "file", "vm:/x"],
        STOP,
        STOP,
        DELETE,
    ]


def test_start_tells_whether_it_did(client: Any, stub: Any) -> None:
    stub.does(RUNNING)
    assert client(stub.path).machine_start("vm") is False


@pytest.mark.parametrize(
    ("body", "calls"),
    [
        ("", [CREATE, START, STOP, DELETE]),
        (EXISTS, [CREATE, START, STOP]),
        (EXISTS + RUNNING, [CREATE, START]),
    ],
    ids=["creates and starts", "starts", "finds it running"],
)
@pytest.mark.parametrize("raises", [None, KeyError, KeyboardInterrupt])
def test_context_undoes_what_it_did(
    client: Any, stub: Any, body: str, calls: list[list[str]], raises: type[BaseException] | None
) -> None:
    stub.does(body)
    vm = client(stub.path, guards=Guards(stop_before_delete=False)).machine("vm")
    if raises is None:
        with vm:
            pass
    else:
        with pytest.raises(raises), vm:
            raise raises
    assert stub.calls == calls


def test_context_with_options_wants_a_new_machine(client: Any, stub: Any) -> None:
    stub.does(EXISTS)
    with pytest.raises(MachineExistsError), client(stub.path).machine("vm", cpus=2):
        pass
    assert stub.calls == [["machine", "create", "--cpus", "2", "vm"]]


def test_a_start_that_fails_leaves_no_machine(client: Any, stub: Any) -> None:
    stub.does("sys.exit('Error: agent operation failed: no' if 'start' in args else 0)")
    with pytest.raises(SmolvmError, match="operation failed: no"), client(stub.path).machine("vm"):
        pass
    assert stub.calls == [CREATE, START, STOP, DELETE]


def test_what_is_gone_already_is_no_error(client: Any, stub: Any) -> None:
    stub.does("sys.exit('Error: vm not found: vm' if 'stop' in args else 0)")
    with client(stub.path).machine("vm"):
        pass


def test_a_tear_down_that_fails_is_told_of(client: Any, stub: Any) -> None:
    stub.does("sys.exit('Error: stuck' if 'stop' in args else 0)")
    with pytest.raises(SmolvmError, match="stuck"), client(stub.path).machine("vm"):
        pass
    with pytest.raises(KeyError) as failure, client(stub.path).machine("vm"):
        raise KeyError
    assert "stuck" in failure.value.__notes__[0]
    assert DELETE not in stub.calls


def test_host_timeout_does_not_cut_bringing_up_short(client: Any, stub: Any) -> None:
    stub.does("if 'start' in args:\n    time.sleep(0.2)\n    note('done')")
    with client(stub.path, host_timeout=0.05).machine("vm"):
        assert stub.calls[-1] == ["done"]


# --- terminal, and other people's stand-ins ---


def test_a_shell_has_the_terminal(
    client: Any, stub: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    stub.does(
        "print('prompt', os.getpgrp() == os.getpgid(os.getppid())); time.sleep(0.2); sys.exit(4)"
    )
    assert client(stub.path, host_timeout=0.05).machine_shell("vm") == 4
    assert capfd.readouterr().out == "prompt True\n"


def test_through_pytest_subprocess(client: Any, fp: FakeProcess) -> None:
    fp.register(["smolvm", "--version"], stdout="smolvm 0.8.0\n")
    fp.register(
        ["smolvm", "machine", "exec", "--name", "vm", "--", "id"], stdout="0\n", returncode=3
    )
    fp.register(
        ["smolvm", "machine", "status", "--name", "vm", "--json"],
        stderr="Error: config operation failed: machine status: machine 'vm' not found\n",
        returncode=1,
    )
    one = client(version=None)
    result = one.machine_exec("vm", ["id"])
    assert (result.returncode, result.stdout) == (3, "0\n")
    with pytest.raises(MachineNotFoundError):
        one.machine_status("vm")


def test_nobody_else_is_killed_for_a_stand_in(
    client: Any, fp: FakeProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(_: Any) -> None:
        raise LookupError("in the test's own callback")

    monkeypatch.setattr(os, "killpg", lambda *_: pytest.fail("killed a group of somebody else's"))
    fp.register(["smolvm", "machine", "exec", fp.any()], callback=explode)
    with pytest.raises(LookupError):
        client().machine_exec("vm", ["id"])
    fp.register(["smolvm", "machine", "start", fp.any()], callback=explode)
    with pytest.raises(LookupError):
        client().machine_start("vm")
