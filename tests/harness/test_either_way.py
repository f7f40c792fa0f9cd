"""One suite over both fixtures: whatever way smolvm is started, both answer the same."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from fake_smolvm.harness.fixture import SmolvmFixture

pytestmark = pytest.mark.usefixtures("either")

VERSION = b"smolvm 0.8.0\n"
UNKNOWN = ["smolvm", "bogus"]


def test_is_on_path(either: SmolvmFixture) -> None:
    assert shutil.which("smolvm") == str(either.binary)


@pytest.mark.parametrize("options", [{}, {"cwd": "/"}, {"bufsize": 0}, {"close_fds": False}])
def test_run_captures_bytes(options: dict[str, Any]) -> None:
    done = subprocess.run(["smolvm", "--version"], capture_output=True, check=True, **options)
    assert (done.returncode, done.stdout, done.stderr) == (0, VERSION, b"")


@pytest.mark.parametrize(
    "options", [{"text": True}, {"encoding": "utf-16-le"}, {"universal_newlines": True}]
)
def test_run_decodes_as_asked(options: dict[str, Any]) -> None:
    done = subprocess.run(
        ["smolvm", "--version"],
        stdout=subprocess.PIPE,
        check=False,
        **{**options, "errors": "replace"},
    )
    assert done.stdout == VERSION.decode(options.get("encoding", "utf-8"), "replace")


def test_program_as_path_or_plain_string() -> None:
    binary = shutil.which("smolvm") or ""
    for command in (Path(binary), "smolvm", [Path(binary)], [binary.encode()]):
        done = subprocess.run(command, stderr=subprocess.PIPE, check=False)
        assert done.returncode == 2


def test_popen_however_its_arguments_are_given() -> None:
    assert subprocess.run(args=["smolvm", "--version"], stdout=-1, check=True).stdout == VERSION
    with subprocess.Popen(["smolvm", "--version"], -1, None, None, subprocess.PIPE) as process:
        assert process.communicate()[0] == VERSION


def test_check_output_and_check_call() -> None:
    assert subprocess.check_output(["smolvm", "--version"]) == VERSION
    with pytest.raises(subprocess.CalledProcessError) as failure:
        subprocess.check_output(UNKNOWN, stderr=subprocess.STDOUT, text=True)
    assert failure.value.returncode == 2
    assert "unrecognized subcommand 'bogus'" in failure.value.stdout


def test_output_into_files(tmp_path: Path) -> None:
    with (tmp_path / "all").open("wb") as file:
        subprocess.run(UNKNOWN, stdout=file, stderr=subprocess.STDOUT, check=False)
        file.write(b"end")
    text = (tmp_path / "all").read_bytes()
    assert text.startswith(b"error: unrecognized")
    assert text.endswith(b"end")


def test_output_to_the_terminal_or_nowhere(capfd: pytest.CaptureFixture[str]) -> None:
    subprocess.run(["smolvm", "--version"], check=True)
    subprocess.run(["smolvm", "--version"], stdout=subprocess.DEVNULL, check=True)
    assert capfd.readouterr().out.encode() == VERSION


def test_popen_with_pipes(either: SmolvmFixture) -> None:
    either.run("machine", "create", "box")
    with subprocess.Popen(
        ["smolvm", "machine", "delete", "box"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        assert process.stderr.read(6) == "Delete"
        assert process.poll() is None
        process.stdin.write("y\n")
        process.stdin.flush()
        assert process.wait(10) == 0
        assert "Deleted machine: box" in process.stdout.read()


SAYS_NO = pytest.mark.smolvm_allows("leak", reason="the user said no")


@pytest.mark.parametrize(
    ("answer", "there"),
    [
        ("y\n", False),
        pytest.param("n\n", True, marks=SAYS_NO),
        pytest.param("", True, marks=SAYS_NO),
    ],
)
def test_stdin_from_input(either: SmolvmFixture, answer: str, there: bool) -> None:
    either.run("machine", "create", "box")
    assert either.run("machine", "delete", "box", input=answer).returncode == 0
    assert either.machine("box").exists is there


def test_stdin_from_a_file(either: SmolvmFixture, tmp_path: Path) -> None:
    either.run("machine", "create", "box")
    (tmp_path / "yes").write_text("y\n", encoding="utf-8")
    with (tmp_path / "yes").open(encoding="utf-8") as file:
        assert either.run("machine", "delete", "box", stdin=file).returncode == 0
    assert not either.machine("box").exists


def test_cwd_decides_on_relative_paths(either: SmolvmFixture, tmp_path: Path) -> None:
    (tmp_path / "vm.smolfile").write_text("cpus = 2\n", encoding="utf-8")
    done = either.run("machine", "create", "box", "-s", "vm.smolfile", cwd=tmp_path)
    assert "CPUs: 2" in done.stdout
    either.run("machine", "delete", "-f", "box")


def test_missing_cwd_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        subprocess.run(["smolvm"], cwd=tmp_path / "missing", check=False)


def test_null_byte_is_an_error() -> None:
    with pytest.raises(ValueError, match="null byte"):
        subprocess.run(["smolvm", "a\0b"], check=False)


def test_home_stays_inside_whatever_env_says(either: SmolvmFixture) -> None:
    outside = either._sandbox.outside_home  # noqa: SLF001
    for number, env in enumerate(({}, {"HOME": outside}, {"HOME": str(either.home)})):
        env["PATH"] = os.environ["PATH"]
        either.run("machine", "create", f"box{number}", env=env, check=True)
    assert set(either.machines) == {"box0", "box1", "box2"}
    for name in either.machines:
        either.run("machine", "delete", "-f", name)


def test_home_of_the_callers_own_is_left_alone(either: SmolvmFixture, tmp_path: Path) -> None:
    env = {**either.env, "HOME": str(tmp_path)}
    either.run("machine", "create", "box", env=env, check=True)
    assert not either.machine("box").exists
    assert "box" in either.run("machine", "ls", env=env).stdout


def test_timeout_kills(either: SmolvmFixture) -> None:
    either.hang("machine ls")
    with pytest.raises(subprocess.TimeoutExpired):
        either.run("machine", "ls", timeout=0.2)
    assert either.calls[0].returncode is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_signals_end_it(either: SmolvmFixture, number: signal.Signals) -> None:
    either.hang()
    process = subprocess.Popen(["smolvm", "machine", "ls"], stdout=subprocess.PIPE)
    # From then on it is a smolvm, and no longer an interpreter that starts.
    while not (either.home / ".fake_smolvm" / "faults.jsonl").exists():
        assert process.poll() is None
    process.send_signal(number)
    assert process.wait(10) == -number
    assert process.communicate()[0] == b""


def test_process_group_is_killed(either: SmolvmFixture) -> None:
    either.hang()
    process = subprocess.Popen(["smolvm", "machine", "ls"], start_new_session=True)
    assert os.getpgid(process.pid) == process.pid
    while not either.calls:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait(10) == -signal.SIGKILL
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)


def test_reader_that_goes_away(either: SmolvmFixture) -> None:
    either.run("machine", "create", "box", check=True)
    command = ["smolvm", "machine", "delete", "box"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout
    process.stdout.close()
    process.communicate(b"y\n")
    assert process.returncode == 101


def test_asyncio(either: SmolvmFixture) -> None:
    async def main() -> None:
        process = await asyncio.create_subprocess_exec(
            either.binary, "--version", stdout=asyncio.subprocess.PIPE
        )
        assert (await process.communicate())[0] == VERSION
        assert process.returncode == 0
        either.run("machine", "create", "box")
        process = await asyncio.create_subprocess_exec(
            "smolvm", "machine", "delete", "box", stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        stdout, stderr = await process.communicate(b"y\n")
        assert b"Deleted machine: box" in stdout
        assert b"[y/N]" in stderr
        shell = await asyncio.create_subprocess_shell(
            "smolvm --version | cat", stdout=asyncio.subprocess.PIPE
        )
        assert (await shell.communicate())[0] == VERSION

    asyncio.run(main())


def test_asyncio_timeout(either: SmolvmFixture) -> None:
    either.hang()

    async def main() -> None:
        process = await asyncio.create_subprocess_exec("smolvm", "machine", "ls")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(process.wait(), 0.1)
        process.kill()
        assert await process.wait() == -signal.SIGKILL

    asyncio.run(main())


def test_asyncio_many_at_once() -> None:
    async def one() -> bytes:
        process = await asyncio.create_subprocess_exec(
            "smolvm", "--version", stdout=asyncio.subprocess.PIPE
        )
        return (await process.communicate())[0]

    async def main() -> list[bytes]:
        return await asyncio.gather(*[one() for _ in range(10)])

    assert asyncio.run(main()) == [VERSION] * 10


def test_threads(either: SmolvmFixture) -> None:
    with ThreadPoolExecutor(8) as pool:
        names = [f"box{number}" for number in range(16)]
        codes = list(pool.map(lambda name: either.run("machine", "create", name).returncode, names))
    assert codes == [0] * 16
    assert sorted(either.machines) == sorted(names)
    assert len(either.calls.filter("machine create", returncode=0)) == 16
    for name in names:
        either.run("machine", "delete", "-f", name)


def test_shell_and_other_programs_reach_the_same_machines(either: SmolvmFixture) -> None:
    either.run("machine", "create", "box")
    listing = subprocess.run(  # noqa: S602  a shell is the point
        "smolvm machine ls | cat",
        shell=True,
        text=True,
        capture_output=True,
        check=True,
    )
    assert "box" in listing.stdout
    program = "import subprocess; subprocess.run(['smolvm', 'machine', 'delete', '-f', 'box'])"
    subprocess.run([sys.executable, "-c", program], check=True)
    assert not either.machine("box").exists
    assert [call.command for call in either.calls] == [
        "machine create",
        "machine ls",
        "machine delete",
    ]


def test_other_programs_run_as_usual() -> None:
    assert subprocess.check_output(["echo", "hello"]) == b"hello\n"


def test_calls_are_typed_filtered_and_counted(either: SmolvmFixture) -> None:
    either.run("machine", "create", "box", "-e", "TOKEN=hunter22")
    either.run("vm", "rm", "-f", "box")
    either.run("machine", "start", "--name", "box")
    created, deleted, started = either.calls
    assert (created.command, created.machine, created.returncode) == ("machine create", "box", 0)
    assert (deleted.command, deleted.machine) == ("machine delete", "box")
    assert (started.returncode, started.stderr) == (1, "Error: vm not found: box\n")
    assert started.seconds is not None
    assert started.started >= (deleted.seconds or 0)
    assert created.cwd == str(Path.cwd())
    assert either.calls.filter(returncode=1)[:1].argvs == [
        ["smolvm", "machine", "start", "--name", "box"]
    ]
    assert len(either.calls.filter("machine", machine="box")) == 3
    call = either.calls.filter("machine create").assert_called_once()
    assert str(call.argv[-1]) == "TOKEN=***"
    line = ("smolvm", "machine", "create", "box", "-e", "TOKEN=hunter22")
    assert either.calls.assert_called_once_with(*line) == call
    either.calls.filter("pack").assert_not_called()


def test_failed_assertion_prints_the_timeline_and_no_secret(either: SmolvmFixture) -> None:
    either.run("machine", "creat", "box", "-e", "TOKEN=hunter22")
    either.run("machine", "ls")
    with pytest.raises(AssertionError) as failure:
        either.calls.assert_called_once_with("smolvm", "machine", "create", "-e", "TOKEN=hunter22")
    told = str(failure.value)
    assert "hunter22" not in told
    assert "the nearest was\n  smolvm machine creat box -e 'TOKEN=***'" in told
    assert "exit 2  smolvm machine creat box" in told
    assert "error: unrecognized subcommand 'creat'" in told
    for check in (either.calls.assert_called_once, either.calls.assert_not_called):
        with pytest.raises(AssertionError, match="saw 2"):
            check()
    with pytest.raises(AssertionError, match="no call of"):
        either.calls.assert_called_with("smolvm", "pack", "ls")


def test_machine_state(either: SmolvmFixture) -> None:
    machine = either.machine("box")
    with pytest.raises(LookupError):
        _ = machine.state
    either.run("machine", "create", "box", "--cpus", "2")
    assert machine.state == "created"
    either.run("machine", "start", "--name", "box")
    assert (machine.state, machine.status["cpus"]) == ("running", 2)
    machine.kill()
    assert machine.state == "stopped"
    either.run("machine", "delete", "-f", "box")
    assert not machine.exists
    with pytest.raises(LookupError, match="not found"):
        _ = machine.status


def test_guest_files(either: SmolvmFixture, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"\0\xff")
    either.run("machine", "create", "box")
    either.run("machine", "start", "--name", "box")
    assert "Alpine" in either.machine("box").read_text("/etc/os-release")
    either.run("machine", "cp", str(tmp_path / "file"), "box:/root/file", check=True)
    assert either.machine("box").read_bytes("/root/file") == b"\0\xff"
    with pytest.raises(OSError, match="No such file"):
        either.machine("box").read_text("/missing")
    assert len(either.calls) == 3
    either.run("machine", "stop", "--name", "box")
    either.run("machine", "delete", "-f", "box")


@pytest.mark.smolvm_allows("H1", reason="the point of it")
def test_which_machine_could_reach_what(either: SmolvmFixture, tmp_path: Path) -> None:
    either.outside_host("api.example.com", "192.0.2.7")
    either.run("pack", "create", "--image", "alpine", "-o", str(tmp_path / "p"), check=True)
    kinds = {
        "closed": [],
        "open": ["--net"],
        "dropped": ["--net", "--allow-cidr", "10.0.0.0/8", "--from", f"{tmp_path}/p.smolmachine"],
    }
    for name, options in kinds.items():
        either.run("machine", "create", *options, name, check=True)
    assert {name: bool(it.reach("api.example.com")) for name, it in either.machines.items()} == {
        "closed": False,
        "open": True,
        "dropped": True,
    }
    assert either.machine("closed").reach("192.0.2.7").verdict == "no network"
    assert either.machine("open").reach("other.example.com").verdict == "unresolved"
    for name in kinds:
        either.run("machine", "delete", "-f", name)
    with pytest.raises(LookupError):
        either.machine("open").reach("192.0.2.7")


@pytest.mark.parametrize("either", ["fake_smolvm"], indirect=True)
def test_killed_thread_writes_no_more(fake_smolvm: SmolvmFixture) -> None:
    fake_smolvm.delay(0.3, "machine create")
    process = subprocess.Popen(["smolvm", "machine", "create", "box"])
    process.kill()
    assert process.wait() == -signal.SIGKILL
    time.sleep(0.5)
    assert not fake_smolvm.machine("box").exists


@pytest.mark.parametrize("either", ["fake_smolvm"], indirect=True)
def test_leaves_no_thread_behind(fake_smolvm: SmolvmFixture) -> None:
    before = threading.active_count()
    for _ in range(20):
        fake_smolvm.run("--version")
    assert threading.active_count() == before
