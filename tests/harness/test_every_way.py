"""Every way to start a process, over both fixtures: the same outcome, and the same calls.

What is different in process all the same stands in a table of `docs/in-process.md`, one row each;
`DIFFERENT` has a case for each row, and shows both answers.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import multiprocessing.forkserver
import os
import pty
import re
import resource
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import anyio
import psutil
import pytest
import trio
import uvloop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from fake_smolvm.harness.fixture import SmolvmFixture

    Way = Callable[[SmolvmFixture, Path], Any]

VERSION = b"smolvm 0.8.0\n"
ASK = ["smolvm", "--version"]
ONE = [ASK]
LS = ["smolvm", "machine", "ls"]
MINE = b"mine\n"
TABLE = Path(__file__).parents[2] / "docs" / "in-process.md"
GENEROUS_SECONDS = 60

WAYS: dict[str, tuple[Way, Any, Sequence[Sequence[str]]]] = {}


def way(outcome: Any = VERSION, calls: Sequence[Sequence[str]] = ONE) -> Callable[[Way], Way]:
    """Add a way, with what comes of it and the calls that are seen."""

    def add(function: Way) -> Way:
        WAYS[function.__name__] = function, outcome, calls
        return function

    return add


def outcome_of(function: Callable[[], Any]) -> Any:
    try:
        return function()
    except (OSError, ValueError, TypeError, IndexError) as error:
        return type(error), re.sub("/tmp/[^ ']*/", "", str(error))  # noqa: S108


def script(path: Path, text: str = "#!/bin/sh\necho mine\n", mode: int = 0o755) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def said(command: Any = ASK, **options: Any) -> bytes:
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, **options)
    output: bytes = done.stdout
    return output


# Which program it is


@way()
def absolute_path(smolvm: SmolvmFixture, _: Path) -> bytes:
    return said([str(smolvm.binary), "--version"])


@way((FileNotFoundError, "[Errno 2] No such file or directory: '/no/such/smolvm'"), [])
def path_that_does_not_exist(_: SmolvmFixture, __: Path) -> bytes:
    return said(["/no/such/smolvm", "--version"])


@way((FileNotFoundError, "[Errno 2] No such file or directory: 'smolvm'"), [])
def path_variable_without_it(_: SmolvmFixture, __: Path) -> bytes:
    return said(env={**os.environ, "PATH": "/usr/bin:/bin"})


@way((FileNotFoundError, "[Errno 2] No such file or directory: 'smolvm'"), [])
def no_environment(_: SmolvmFixture, __: Path) -> bytes:
    return said(env={})


@way((FileNotFoundError, "[Errno 2] No such file or directory: 'smolvm'"), [])
def empty_path_of_this_process(_: SmolvmFixture, __: Path) -> bytes:
    with mock.patch.dict(os.environ, {"PATH": "/nowhere"}):
        return said()


@way()
def absolute_path_and_no_environment(smolvm: SmolvmFixture, _: Path) -> bytes:
    return said([smolvm.binary, "--version"], env={})


@way()
def path_of_env_alone(smolvm: SmolvmFixture, _: Path) -> bytes:
    with mock.patch.dict(os.environ, {"PATH": "/nowhere"}):
        return said(env={"PATH": f"/nowhere:{smolvm.binary.parent}"})


@way(MINE, [])
def own_script_first_on_path(_: SmolvmFixture, tmp_path: Path) -> bytes:
    own = script(tmp_path / "own" / "smolvm")
    return said(env={**os.environ, "PATH": f"{own.parent}:{os.environ['PATH']}"})


@way(MINE, [])
def own_script_by_its_path(_: SmolvmFixture, tmp_path: Path) -> bytes:
    return said([script(tmp_path / "smolvm")])


@way(MINE, [])
def own_script_in_the_working_directory(_: SmolvmFixture, tmp_path: Path) -> bytes:
    return said(["./smolvm"], cwd=script(tmp_path / "smolvm").parent)


@way(MINE, [])
def own_script_where_path_says_here(_: SmolvmFixture, tmp_path: Path) -> bytes:
    script(tmp_path / "smolvm")
    return said(cwd=tmp_path, env={**os.environ, "PATH": f":{os.environ['PATH']}"})


@way(MINE, [])
def own_script_in_place_of_it(smolvm: SmolvmFixture, _: Path) -> bytes:
    script(smolvm.binary)
    return said()


@way()
def own_script_later_on_path(_: SmolvmFixture, tmp_path: Path) -> bytes:
    own = script(tmp_path / "own" / "smolvm")
    return said(env={**os.environ, "PATH": f"{os.environ['PATH']}:{own.parent}"})


@way()
def relative_path(smolvm: SmolvmFixture, _: Path) -> bytes:
    return said(["bin/smolvm", "--version"], cwd=smolvm.binary.parents[1])


@way((FileNotFoundError, "[Errno 2] No such file or directory: 'bin/smolvm'"), [])
def relative_path_from_elsewhere(_: SmolvmFixture, tmp_path: Path) -> bytes:
    return said(["bin/smolvm", "--version"], cwd=tmp_path)


@way()
def file_without_permission_before_it(_: SmolvmFixture, tmp_path: Path) -> bytes:
    other = script(tmp_path / "own" / "smolvm", mode=0o644)
    return said(env={**os.environ, "PATH": f"{other.parent}:{os.environ['PATH']}"})


@way()
def folder_of_that_name_before_it(_: SmolvmFixture, tmp_path: Path) -> bytes:
    (tmp_path / "smolvm").mkdir()
    return said(env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"})


@way((PermissionError, "[Errno 13] Permission denied: 'smolvm'"), [])
def file_without_permission_alone(_: SmolvmFixture, tmp_path: Path) -> bytes:
    return said([str(script(tmp_path / "smolvm", mode=0o644))])


@way((PermissionError, "[Errno 13] Permission denied: 'smolvm'"), [])
def it_without_permission(smolvm: SmolvmFixture, _: Path) -> bytes:
    smolvm.binary.chmod(0o644)
    with mock.patch.dict(os.environ, {"PATH": str(smolvm.binary.parent)}):
        return said()


@way((FileNotFoundError, "[Errno 2] No such file or directory: 'smolvm'"), [])
def it_removed(smolvm: SmolvmFixture, _: Path) -> bytes:
    smolvm.binary.unlink()
    return said(env={"PATH": str(smolvm.binary.parent)})


@way()
def link_to_it(smolvm: SmolvmFixture, tmp_path: Path) -> bytes:
    (tmp_path / "smolvm").symlink_to(smolvm.binary)
    return said([tmp_path / "smolvm", "--version"])


@way()
def link_of_another_name(smolvm: SmolvmFixture, tmp_path: Path) -> bytes:
    (tmp_path / "vm").symlink_to(smolvm.binary)
    return said([tmp_path / "vm", "--version"])


@way()
def executable(_: SmolvmFixture, __: Path) -> bytes:
    return said(["anything", "--version"], executable="smolvm")


@way(MINE, [])
def executable_of_its_own(_: SmolvmFixture, tmp_path: Path) -> bytes:
    return said(executable=script(tmp_path / "other"))


# How the arguments are given


@way()
def bytes_and_paths(smolvm: SmolvmFixture, _: Path) -> bytes:
    return said((smolvm.binary, b"--version"))


@way()
def iterator(_: SmolvmFixture, __: Path) -> bytes:
    return said(iter(ASK))


@way(2, [["smolvm"]])
def string_alone(_: SmolvmFixture, __: Path) -> int:
    return subprocess.run("smolvm", stderr=subprocess.DEVNULL, check=False).returncode


@way((FileNotFoundError, "[Errno 2] No such file or directory: 'smolvm --version'"), [])
def string_with_arguments(_: SmolvmFixture, __: Path) -> bytes:
    return said("smolvm --version")


@way((ValueError, "embedded null byte"), [])
def null_byte(_: SmolvmFixture, __: Path) -> bytes:
    return said([*ASK, "a\0b"])


@way((TypeError, "expected str, bytes or os.PathLike object, not int"), [])
def number(_: SmolvmFixture, __: Path) -> bytes:
    return said(["smolvm", 1])


@way((IndexError, "list index out of range"), [])
def no_words(_: SmolvmFixture, __: Path) -> bytes:
    return said([])


@way((TypeError, "Popen.__init__() missing 1 required positional argument: 'args'"), [])
def no_command(_: SmolvmFixture, __: Path) -> Any:
    return subprocess.Popen()  # type: ignore[call-overload]


@way((OSError, "[Errno 7] Argument list too long: 'smolvm'"), [])
def more_than_fits(_: SmolvmFixture, __: Path) -> bytes:
    return said([*ASK, "x" * (1 << 21)])


@way((TypeError, "expected str, bytes or os.PathLike object, not int"), [])
def environment_of_numbers(_: SmolvmFixture, __: Path) -> bytes:
    return said(env={**os.environ, "A": 1})


@way((ValueError, "illegal environment variable name"), [])
def environment_that_is_none(_: SmolvmFixture, __: Path) -> bytes:
    return said(env={**os.environ, "A=B": "c"})


@way((FileNotFoundError, "[Errno 2] No such file or directory: 'missing'"), [])
def missing_folder(_: SmolvmFixture, tmp_path: Path) -> bytes:
    return said(cwd=f"{tmp_path}/missing")


@way((NotADirectoryError, "[Errno 20] Not a directory: 'file'"), [])
def folder_that_is_a_file(_: SmolvmFixture, tmp_path: Path) -> bytes:
    return said(cwd=f"{script(tmp_path / 'file')}")


@way()
def folder_that_is_gone(_: SmolvmFixture, tmp_path: Path) -> bytes:
    (tmp_path / "gone").mkdir()
    here = os.open(".", os.O_RDONLY)
    os.chdir(tmp_path / "gone")
    try:
        (tmp_path / "gone").rmdir()
        return said()
    finally:
        os.fchdir(here)
        os.close(here)


# What Popen can do besides


@way((VERSION, b"before"))
def preexec_function(_: SmolvmFixture, tmp_path: Path) -> tuple[bytes, bytes]:
    def before() -> None:
        (tmp_path / "file").write_bytes(b"before")

    output = said(preexec_fn=before)
    return output, (tmp_path / "file").read_bytes()


@way(b"", [LS])
def descriptor_that_it_keeps_open(smolvm: SmolvmFixture, _: Path) -> bytes:
    smolvm.hang()
    reading, writing = os.pipe()
    with subprocess.Popen(LS, pass_fds=[writing]) as process:
        os.close(writing)
        os.set_blocking(reading, False)
        with pytest.raises(BlockingIOError):
            os.read(reading, 1)
        process.kill()
    os.set_blocking(reading, True)
    with open(reading, "rb") as rest:
        return rest.read()


@way([VERSION] * 7, ONE * 7)
def options(_: SmolvmFixture, __: Path) -> list[bytes]:
    return [
        said(**given)
        for given in (
            {"user": os.getuid()},
            {"group": os.getgid()},
            {"umask": 0o77},
            {"process_group": 0},
            {"close_fds": False},
            {"restore_signals": False},
            {"start_new_session": True},
        )
    ]


@way(VERSION.decode())
def text(_: SmolvmFixture, __: Path) -> str:
    return subprocess.check_output(ASK, text=True, bufsize=1)


@way([True, True, "Popen"], [["smolvm", "--version"], ["smolvm", "--help"]])
def popen_is_a_class(_: SmolvmFixture, __: Path) -> list[Any]:
    class Mine(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *args: Any) -> None:
            super().__init__(["smolvm", *args], stdout=subprocess.DEVNULL)

    with subprocess.Popen(ASK, stdout=subprocess.DEVNULL) as process:
        is_one = isinstance(process, subprocess.Popen)
    with Mine("--help") as mine:
        return [is_one, isinstance(mine, Mine), type(process).__name__]


@way([True, VERSION])
def environment_at_the_start(smolvm: SmolvmFixture, _: Path) -> list[Any]:
    with mock.patch.dict(os.environ, {"MARK": "1"}):
        process = subprocess.Popen(ASK, stdout=subprocess.PIPE)
    output = process.communicate()[0]
    return [smolvm.calls[0].env.get("MARK") == "1", output]


@way()
def environment_replaced(smolvm: SmolvmFixture, _: Path) -> bytes:
    with mock.patch("os.environ", {"PATH": str(smolvm.binary.parent)}):
        output = said()
    assert smolvm.calls[0].env["HOME"] == str(smolvm.home)
    return output


@way([b"", "BrokenPipeError"], [["smolvm", "--version"]] * 2)
def stdin_of_one_that_is_over(_: SmolvmFixture, __: Path) -> list[Any]:
    large = b"x" * (1 << 20)
    said_nothing = subprocess.run(ASK, input=large, stdout=subprocess.DEVNULL, check=True).stdout
    with subprocess.Popen(ASK, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        process.wait()
        assert process.stdin
        try:
            process.stdin.write(large)
        except BrokenPipeError:
            return [said_nothing or b"", "BrokenPipeError"]
        return ["written"]


@way([b"", "BrokenPipeError"])
def more_stdin_than_a_pipe_holds(_: SmolvmFixture, __: Path) -> list[Any]:
    with subprocess.Popen(ASK, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        assert process.stdin
        try:
            process.stdin.write(b"x" * (1 << 20))
        except BrokenPipeError:
            return [b"", "BrokenPipeError"]
        return ["written"]


@way()
def stdin_from_another_program(_: SmolvmFixture, __: Path) -> bytes:
    with subprocess.Popen(["echo", "y"], stdout=subprocess.PIPE) as echo:
        return said(stdin=echo.stdout)


# Not by Popen


@way()
def shell(_: SmolvmFixture, __: Path) -> bytes:
    return said("smolvm --version | cat", shell=True)  # noqa: S604


@way()
def shell_with_a_list(_: SmolvmFixture, __: Path) -> bytes:
    return said(["smolvm $0", "--version"], shell=True)  # noqa: S604


@way()
def getoutput(_: SmolvmFixture, __: Path) -> bytes:
    return f"{subprocess.getoutput('smolvm --version')}\n".encode()  # noqa: S605


@way(0)
def system(_: SmolvmFixture, __: Path) -> int:
    return os.system("smolvm --version > /dev/null")  # noqa: S605


@way()
def os_popen(_: SmolvmFixture, __: Path) -> bytes:
    with os.popen("smolvm --version") as pipe:  # noqa: S605
        return pipe.read().encode()


@way(0)
def posix_spawn(_: SmolvmFixture, __: Path) -> int:
    pid = os.posix_spawnp("smolvm", ASK, os.environ)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@way(0)
def spawn(_: SmolvmFixture, __: Path) -> int:
    return os.spawnlp(os.P_WAIT, "smolvm", *ASK)  # noqa: S606


@way(0)
def exec_in_a_fork(_: SmolvmFixture, __: Path) -> int:
    pid = os.fork()
    if pid == 0:
        os.execvp("smolvm", ASK)  # noqa: S606
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@way(0)
def terminal(_: SmolvmFixture, __: Path) -> int:
    return os.waitstatus_to_exitcode(pty.spawn(ASK))


# From elsewhere


@way(0, [["smolvm", "--version"], ["smolvm", "machine", "ls"]])
def fork(smolvm: SmolvmFixture, _: Path) -> int:
    said()
    pid = os.fork()
    if pid == 0:
        os._exit(smolvm.run("machine", "ls").returncode)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@way([VERSION] * 6, ONE * 6)
def pools(_: SmolvmFixture, __: Path) -> list[bytes]:
    outputs = []
    multiprocessing.forkserver._forkserver._stop()  # type: ignore[attr-defined]  # noqa: SLF001
    for method in ("fork", "spawn", "forkserver"):
        context = multiprocessing.get_context(method)
        with context.Pool(1) as pool:
            outputs.append(pool.apply(subprocess.check_output, (ASK,)))
        with concurrent.futures.ProcessPoolExecutor(1, context) as executor:
            outputs.append(executor.submit(subprocess.check_output, ASK).result())
    return outputs


@way([VERSION] * 8, ONE * 8)
def threads(_: SmolvmFixture, __: Path) -> list[bytes]:
    with concurrent.futures.ThreadPoolExecutor(4) as executor:
        return list(executor.map(subprocess.check_output, [ASK] * 8))


@way([VERSION] * 4, ONE * 4)
def event_loops(_: SmolvmFixture, __: Path) -> list[bytes]:
    async def by_asyncio() -> bytes:
        process = await asyncio.create_subprocess_exec(*ASK, stdout=asyncio.subprocess.PIPE)
        return (await process.communicate())[0]

    async def by_shell() -> bytes:
        process = await asyncio.create_subprocess_shell(
            "smolvm --version", stdout=asyncio.subprocess.PIPE
        )
        return (await process.communicate())[0]

    async def by_anyio() -> bytes:
        return (await anyio.run_process(ASK)).stdout

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        by_uvloop = runner.run(by_asyncio())
    return [asyncio.run(by_asyncio()), asyncio.run(by_shell()), by_uvloop,
            anyio.run(by_anyio, backend="trio")]  # fmt: skip


@way([True] * 3, [LS] * 3)
def event_loops_that_lose_patience(smolvm: SmolvmFixture, _: Path) -> list[bool]:
    smolvm.hang()

    async def by_trio() -> bool:
        with trio.move_on_after(0.1) as scope:
            await trio.run_process(LS)
        return bool(scope.cancelled_caught)

    async def by_anyio() -> bool:
        with anyio.move_on_after(0.1) as scope:
            await anyio.run_process(LS)
        return bool(scope.cancelled_caught)

    return [trio.run(by_trio), anyio.run(by_anyio), anyio.run(by_anyio, backend="trio")]


# By its process ID


def hanging(smolvm: SmolvmFixture, **given: Any) -> subprocess.Popen[bytes]:
    smolvm.hang()
    return subprocess.Popen(LS, **given)


@way([-signal.SIGTERM, -signal.SIGKILL, -signal.SIGUSR1], [LS] * 3)
def killed_by_its_number(smolvm: SmolvmFixture, _: Path) -> list[int]:
    codes = []
    for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGUSR1):
        process = hanging(smolvm)
        os.kill(process.pid, number)
        codes.append(process.wait(GENEROUS_SECONDS))
    return codes


@way(-signal.SIGKILL, [LS])
def killed_by_another_program(smolvm: SmolvmFixture, _: Path) -> int:
    process = hanging(smolvm)
    subprocess.run(["kill", "-KILL", str(process.pid)], check=True)
    return process.wait(GENEROUS_SECONDS)


@way([True, -signal.SIGTERM], [LS])
def killed_with_its_group(smolvm: SmolvmFixture, _: Path) -> list[Any]:
    process = hanging(smolvm, start_new_session=True)
    leads = os.getpgid(process.pid) == process.pid == os.getsid(process.pid)
    os.killpg(process.pid, signal.SIGTERM)
    return [leads, process.wait(GENEROUS_SECONDS)]


@way([2, 2, 0], [["smolvm", "bogus"]] * 2)
def waited_for_by_its_number(_: SmolvmFixture, __: Path) -> list[int]:
    process = subprocess.Popen(["smolvm", "bogus"], stderr=subprocess.DEVNULL)
    code = os.waitstatus_to_exitcode(os.waitpid(process.pid, 0)[1])
    other = subprocess.Popen(["smolvm", "bogus"], stderr=subprocess.DEVNULL)
    other_code = os.waitstatus_to_exitcode(os.wait4(other.pid, 0)[1])
    other.wait()
    # Popen makes 0 of the code of a child that somebody else has waited for.
    return [code, other_code, process.wait()]


@way([None, -signal.SIGKILL, False], [LS])
def looked_at_with_psutil(smolvm: SmolvmFixture, _: Path) -> list[Any]:
    process = psutil.Popen(hanging_command(smolvm))
    polled = process.poll()
    process.kill()
    return [polled, process.wait(GENEROUS_SECONDS), psutil.pid_exists(process.pid)]


def hanging_command(smolvm: SmolvmFixture) -> list[str]:
    smolvm.hang()
    return LS


@way([2, False], [["smolvm", "bogus"]])
def gone_once_it_was_waited_for(_: SmolvmFixture, __: Path) -> list[Any]:
    process = subprocess.Popen(["smolvm", "bogus"], stderr=subprocess.DEVNULL)
    code = process.wait()
    return [code, psutil.pid_exists(process.pid)]


@way([None, None, -signal.SIGTERM], [LS])
def signals_that_do_not_end_it(smolvm: SmolvmFixture, _: Path) -> list[Any]:
    process = hanging(smolvm)
    for number in (0, signal.SIGCONT, signal.SIGWINCH):
        process.send_signal(number)
    still = process.poll()
    os.kill(process.pid, signal.SIGCONT)
    still_after = process.poll()
    process.terminate()
    return [still, still_after, process.wait(GENEROUS_SECONDS)]


if hasattr(os, "pidfd_open"):

    @way(-signal.SIGTERM, [LS])
    def watched_by_a_descriptor(smolvm: SmolvmFixture, _: Path) -> int:
        process = hanging(smolvm)
        descriptor = os.pidfd_open(process.pid)
        signal.pidfd_send_signal(descriptor, signal.SIGTERM)
        os.close(descriptor)
        return process.wait(GENEROUS_SECONDS)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("name", WAYS)
def test_every_way(either: SmolvmFixture, tmp_path: Path, name: str) -> None:
    function, outcome, calls = WAYS[name]
    assert outcome_of(lambda: function(either, tmp_path)) == outcome
    assert either.calls.argvs == [list(call) for call in calls]


# What is different in process

DIFFERENT: dict[str, tuple[Way, Any, Any]] = {}


def different(row: str, on_path: Any, in_process: Any) -> Callable[[Way], Way]:
    """Add what answers in another way in process, by its row of the table."""

    def add(function: Way) -> Way:
        DIFFERENT[row] = function, on_path, in_process
        return function

    return add


@different("waiting for any child", ["SIGCHLD"], [])
def any_child(_: SmolvmFixture, __: Path) -> list[str]:
    told: list[str] = []
    before = signal.signal(signal.SIGCHLD, lambda *_: told.append("SIGCHLD"))
    try:
        subprocess.run(ASK, stdout=subprocess.DEVNULL, check=True)
    finally:
        signal.signal(signal.SIGCHLD, before)
    return told


@different("`os.putenv`", "new", None)
def put_into_the_environment(smolvm: SmolvmFixture, _: Path) -> str | None:
    os.putenv("SMOLVM_TEST_MARK", "new")
    try:
        said()
    finally:
        os.unsetenv("SMOLVM_TEST_MARK")
    return smolvm.calls[0].env.get("SMOLVM_TEST_MARK")


@different("`SIGSTOP`", "silent", "goes on")
def stopped(smolvm: SmolvmFixture, _: Path) -> str:
    is_thread = type(smolvm).__name__ == "InProcessFixture"
    smolvm.delay(0.5, "machine ls")
    with subprocess.Popen(LS, stdout=subprocess.PIPE) as process:
        os.kill(process.pid, signal.SIGSTOP)
        # Its output is what the thread says; a process that is stopped never says anything.
        said = select.poll()
        said.register(process.stdout, select.POLLIN)
        ready = said.poll((GENEROUS_SECONDS if is_thread else 1) * 1000)
        os.kill(process.pid, signal.SIGCONT)
        process.communicate()
    return "goes on" if ready else "silent"


@different("what `ps` shows", True, False)
def command_line(smolvm: SmolvmFixture, _: Path) -> bool:
    process = hanging(smolvm)
    shown = psutil.Process(process.pid).cmdline()
    process.kill()
    process.wait()
    return shown[-2:] == LS[1:]


@different("a machine's process", True, False)
def process_of_a_machine(smolvm: SmolvmFixture, _: Path) -> bool:
    smolvm.run("machine", "create", "box", check=True)
    smolvm.run("machine", "start", "--name", "box", check=True)
    exists = psutil.pid_exists(smolvm.machine("box").status["pid"])
    smolvm.run("machine", "stop", "--name", "box", check=True)
    smolvm.run("machine", "delete", "-f", "box", check=True)
    return exists


@different("a signal to the test's own group", "ended", "goes on")
def signal_to_the_group(smolvm: SmolvmFixture, tmp_path: Path) -> str:
    # In a run of its own: the signal would end whatever else is in this one's group.
    is_thread = type(smolvm).__name__ == "InProcessFixture"
    code = SIGNALS_ITS_GROUP.format(
        name="fake_smolvm" if is_thread else "smolvm", patience=1 if is_thread else GENEROUS_SECONDS
    )
    (tmp_path / "test_it.py").write_text(code, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    subprocess.run(command, cwd=tmp_path, start_new_session=True, check=False,
                   stdout=subprocess.DEVNULL)  # fmt: skip
    return (tmp_path / "said").read_text(encoding="utf-8")


SIGNALS_ITS_GROUP = """
import os, pathlib, signal, subprocess

def test_it(request):
    smolvm = request.getfixturevalue({name!r})
    smolvm.hang()
    signal.signal(signal.SIGUSR1, lambda *_: None)
    with subprocess.Popen(["smolvm", "machine", "ls"]) as process:
        while not smolvm.calls:
            pass
        os.killpg(0, signal.SIGUSR1)
        try:
            process.wait({patience})
            said = "ended"
        except subprocess.TimeoutExpired:
            said = "goes on"
        process.kill()
    pathlib.Path("said").write_text(said)
"""


def rows() -> list[list[str]]:
    lines = TABLE.read_text(encoding="utf-8").split("\n")
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines
             if line.startswith("| ")]  # fmt: skip
    return cells[1:]  # without the head


def test_the_table_has_a_row_for_each_difference_and_no_other() -> None:
    assert [row[0].strip() for row in rows()] == list(DIFFERENT)
    assert all(len(row) == 3 and all(row) for row in rows())


@pytest.mark.parametrize("row", DIFFERENT)
def test_what_the_table_says(either: SmolvmFixture, tmp_path: Path, row: str) -> None:
    function, on_path, in_process = DIFFERENT[row]
    assert on_path != in_process
    is_thread = type(either).__name__ == "InProcessFixture"
    assert function(either, tmp_path) == (in_process if is_thread else on_path)


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """More than `select` can tell apart, as a long suite may leave them open."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, before[1]), before[1]))
    null = os.open(os.devnull, os.O_RDONLY)
    opened = [null, *(os.dup(null) for _ in range(1100))]
    yield
    for one in opened:
        os.close(one)
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("many_descriptors")
def test_beside_many_open_files(either: SmolvmFixture) -> None:
    either.run("machine", "create", "box", check=True)
    either.run("machine", "start", "--name", "box", check=True)
    with subprocess.Popen(
        ["smolvm", "machine", "exec", "--name", "box", "-i", "--", "sh", "-c", "read it; echo $it"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.communicate(b"given\n")[0] == b"given\n"
    either.run("machine", "stop", "--name", "box", check=True)
    either.run("machine", "delete", "-f", "box", check=True)
