"""Every method of both clients against whatever smolvm is on PATH: the fake, or a real one."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from wrapper_clients import KINDS, make

import smolvm_wrapper
from smolvm_wrapper import (
    GuestCommandError,
    GuestTimeoutError,
    MachineExistsError,
    MachineNotFoundError,
    MachineNotRunningError,
    MachineRunningError,
    SmolvmError,
    SmolvmRunResult,
    State,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fake_smolvm.harness.fixture import SmolvmFixture


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as one:
        yield one


@pytest.fixture(params=KINDS)
def client(
    request: pytest.FixtureRequest,
    runner: asyncio.Runner,
    smolvm: SmolvmFixture,  # noqa: ARG001 - is what the client finds on PATH
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Any:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SMOLVM_BINARY", raising=False)
    return make(request.param, runner)


@pytest.fixture
def vm(client: Any) -> Iterator[Any]:
    """A running machine; `client` is asked for it by name as well."""
    with client.machine("vm", cpus=1, mem=512) as machine:
        yield machine


def test_version(client: Any, smolvm: SmolvmFixture) -> None:
    assert client.version == smolvm.version
    assert client.is_available()


def test_life_of_a_machine(client: Any) -> None:
    assert client.machine_ls() == []
    client.machine_create("vm", cpus=2, mem=512, net=True, env={"A": "b"}, workdir="/etc")
    info = client.machine_status("vm")
    assert (info.name, info.state, info.cpus, info.memory_mib) == ("vm", State.CREATED, 2, 512)
    assert (info.network, info.pid, info.extra) == (True, None, {})
    assert client.machine_start("vm") is True
    assert client.machine_start("vm") is False
    client.wait_exec_ready("vm")
    running = client.machine_status("vm")
    assert running.state is State.RUNNING
    assert running.pid
    assert client.machine_exec("vm", ["sh", "-c", "pwd; echo $A"]).stdout == "/etc\nb\n"
    client.machine_stop("vm")
    client.machine_stop("vm")
    assert [info.state for info in client.machine_ls()] == [State.STOPPED]
    client.machine_delete("vm")
    assert client.machine_ls() == []


def test_delete_of_a_running_machine(client: Any) -> None:
    client.machine_create("vm")
    client.machine_start("vm")
    client.machine_delete("vm")
    assert client.machine_ls() == []


def test_exec(client: Any, vm: Any) -> None:
    result = client.machine_exec("vm", ["sh", "-c", "echo out; echo err >&2; exit 42"])
    assert result == SmolvmRunResult(42, "out\n", "err\n")
    assert result.speaker == "guest"
    with pytest.raises(GuestCommandError):
        result.check()
    assert vm.exec(["pwd"], workdir="/etc").check().stdout == "/etc\n"
    assert vm.exec(["sh", "-c", "echo $A$B"], env={"A": "x", "B": "y"}).stdout == "xy\n"
    assert vm.exec(["cat"], stdin=b"some\x00bytes\xff").stdout_bytes == b"some\x00bytes\xff"
    assert vm.exec(["cat"], stdin=io.BytesIO(b"x" * 200_000)).stdout == "x" * 200_000
    assert vm.exec(["cat"], stdin=iter([b"a", b"b"])).stdout == "ab"
    assert vm.exec(["sh", "-c", "echo out; echo err >&2"], tty=True).stdout == "out\r\nerr\r\n"


def test_exec_that_smolvm_fails(client: Any, vm: Any) -> None:
    for result in (vm.exec(["no-such-command"]), vm.exec(["true"], workdir="/no/such")):
        assert (result.returncode, result.speaker) == (1, "smolvm")
        with pytest.raises(SmolvmError, match="failed to spawn"):
            result.check()
    with pytest.raises(MachineNotFoundError):
        client.machine_exec("nope", ["true"]).check()


def test_exec_that_takes_too_long(vm: Any) -> None:
    for seconds in (0.5, 5, 50):  # what comes before its end depends on how slow the machine is
        result = vm.exec(["sh", "-c", f"echo before; sleep {4 * seconds}"], timeout=seconds)
        if result.stdout:
            break
    assert (result.returncode, result.stdout, result.speaker) == (124, "before\n", "ambiguous")
    with pytest.raises(GuestTimeoutError):
        result.check()


def test_stream(client: Any, vm: Any) -> None:
    stream = client.stream("vm", ["sh", "-c", "echo out; echo err >&2; exit 3"])
    outputs = list(stream)
    assert b"".join(data for name, data in outputs if name == "stdout") == b"out\n"
    assert b"".join(data for name, data in outputs if name == "stderr") == b"err\n"
    assert stream.result.returncode == 3
    assert list(vm.stream(["cat"], stdin=b"x")) == [("stdout", b"x")]
    with pytest.raises(SmolvmError, match="No such file"):
        list(vm.stream(["no-such-command"]))


def test_a_machines_own_env_is_in_no_error(client: Any) -> None:
    with (
        pytest.raises(GuestCommandError, match=r"bad token \*\*\*") as failure,
        client.machine("vm", env={"TOKEN": "hunter2hunter2"}) as vm,
    ):
        vm.exec(["sh", "-c", "echo bad token $TOKEN >&2; exit 3"]).check()
    assert "hunter2" not in f"{failure.value!r} {vars(failure.value)}"


@pytest.mark.usefixtures("vm")
def test_upload_and_download(client: Any, tmp_path: Path) -> None:
    (tmp_path / "up").write_text("content")
    client.upload(tmp_path / "up", "vm:/file")
    client.download("vm:/file", tmp_path / "down")
    assert (tmp_path / "down").read_text() == "content"


def test_cp(client: Any, vm: Any, tmp_path: Path) -> None:
    content = bytes(range(256))
    (tmp_path / "odd:name").write_bytes(content)
    client.machine_cp("./odd:name", "vm:/deep/er/file")
    vm.cp_in(tmp_path / "odd:name", "/other:name")
    assert vm.exec(["sh", "-c", "cmp /deep/er/file /other:name && wc -c < /other:name"]).check()
    client.machine_cp("vm:/deep/er/file", "down")
    vm.cp_out("/other:name", tmp_path / "d:own")
    assert (tmp_path / "down").read_bytes() == (tmp_path / "d:own").read_bytes() == content
    client.machine_cp("", "vm:/x")


@pytest.mark.usefixtures("vm")
@pytest.mark.parametrize("path", ["/missing", "/etc"])
def test_a_failed_download_keeps_what_was_there(client: Any, path: str) -> None:
    Path("kept").write_text("old")
    with pytest.raises(SmolvmError):
        client.machine_cp(f"vm:{path}", "kept")
    assert Path("kept").read_text() == "old"
    assert not list(Path.cwd().glob(".smolvm*"))


def test_cp_with_a_stopped_machine(client: Any) -> None:
    client.machine_create("vm")
    with pytest.raises(MachineNotRunningError):
        client.machine_cp("vm:/etc/hostname", "x")
    client.machine_delete("vm")


def test_update_and_resize(client: Any) -> None:
    client.machine_create("vm")
    client.machine_update(
        "vm", cpus=3, mem=2048, net=True, env={"A": "b"}, ports=["8080:80"], workdir="/etc"
    )
    client.machine_resize("vm", storage=30)
    info = client.machine_status("vm")
    assert (info.cpus, info.memory_mib, info.network, info.ports) == (3, 2048, True, 1)
    assert info.storage_gb == 30
    client.machine_start("vm")
    for change in (
        lambda: client.machine_update("vm", cpus=2),
        lambda: client.machine_resize("vm", overlay=40),
    ):
        with pytest.raises(MachineRunningError):
            change()
    client.machine_delete("vm")


@pytest.mark.usefixtures("vm")
def test_images_and_prune(client: Any) -> None:
    assert client.machine_images("vm")["images"] == []
    assert "layers" in client.machine_prune("vm", dry_run=True)
    with pytest.raises(MachineRunningError):
        client.machine_prune("vm", everything=True)


@pytest.mark.usefixtures("vm")
def test_data_dir(client: Any, smolvm: SmolvmFixture) -> None:
    assert client.machine_data_dir("vm").startswith(str(smolvm.home))


@pytest.mark.usefixtures("vm")
def test_network_test(client: Any) -> None:
    assert isinstance(client.machine_network_test("vm", "http://10.255.255.1"), str)


def test_run(client: Any) -> None:
    result = client.machine_run(["sh", "-c", "echo $A; exit 7"], env={"A": "b"}, cpus=1, mem=512)
    assert (result.returncode, result.stdout, result.speaker) == (7, "b\n", "guest")
    assert client.machine_ls() == []


@pytest.mark.usefixtures("vm")
def test_monitor_ends_with_the_host_timeout(client: Any) -> None:
    with pytest.raises(TimeoutError) as failure:
        client.machine_monitor("vm", interval=1, host_timeout=1)
    assert failure.value.returncode < 0


def test_shell(client: Any) -> None:
    # No terminal here; what matters is that smolvm gets this process's own streams.
    assert isinstance(client.machine_shell("nope"), int)


@pytest.mark.smolvm_allows("H18", reason="the machine made from it is not started")
def test_pack_from_a_machine(client: Any) -> None:
    client.machine_create("vm")
    client.machine_start("vm")
    client.machine_exec("vm", ["sh", "-c", "echo packed > /root/mark; sync"]).check()
    with pytest.raises(MachineRunningError):
        client.pack_create(None, "box", from_vm="vm")
    client.machine_stop("vm")
    client.pack_create(None, "box", from_vm="vm")
    client.machine_delete("vm")
    assert Path("box.smolmachine").is_file()
    assert client.pack_run(["cat", "/root/mark"], sidecar="box.smolmachine").stdout == "packed\n"
    client.machine_create("other", from_path="box.smolmachine")
    client.machine_delete("other")


def test_packs_and_registries(client: Any) -> None:
    assert client.pack_prune(dry_run=True)
    for fails in (
        lambda: client.pack_create(None, "box", from_vm="nope"),
        lambda: client.pack_push("registry.invalid/box:1", "missing.smolmachine"),
        lambda: client.pack_pull("", "x"),
        lambda: client.pack_inspect("/no/reference"),
    ):
        with pytest.raises(SmolvmError):
            fails()
    result = client.pack_run(["true"], sidecar="missing.smolmachine")
    assert (result.returncode, result.speaker) == (1, "smolvm")


def test_config(client: Any, smolvm: SmolvmFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "CPUs" in client.config_show()
    assert client.config_registries_path().startswith(str(smolvm.home))
    assert client.config_registries_show()
    assert client.config_registries_init()
    monkeypatch.setenv("EDITOR", "true")
    assert client.config_registries_edit() == 0


@pytest.mark.smolvm_allows("H5", reason="the wrapper makes an error of it")
def test_unknown_and_taken_names(client: Any) -> None:
    client.machine_create("vm")
    with pytest.raises(MachineExistsError):
        client.machine_create("vm", env={"TOKEN": "hunter2"})
    for command in ("start", "stop", "delete", "status", "images", "prune", "update", "monitor"):
        with pytest.raises(MachineNotFoundError):
            getattr(client, f"machine_{command}")("nope")
    client.machine_delete("vm")


def test_the_parser_says_what_is_wrong(client: Any) -> None:
    with pytest.raises(UsageError) as failure:
        client.machine_create("vm", cpus=1000, env={"TOKEN": "hunter2"})
    assert failure.value.returncode == 2
    assert "1000" in failure.value.stderr
    assert "hunter2" not in str(failure.value) + str(failure.value.argv)


def test_context_on_a_machine_that_is_there(client: Any) -> None:
    client.machine_create("vm")
    with client.machine("vm") as vm:
        assert vm.exec(["true"]).returncode == 0
    assert client.machine_status("vm").state is State.STOPPED
    client.machine_start("vm")
    with client.machine("vm"):
        pass
    assert client.machine_status("vm").state is State.RUNNING
    client.machine_delete("vm")


def test_context_leaves_nothing_after_an_exception(client: Any) -> None:
    with pytest.raises(KeyError), client.machine("vm"):
        raise KeyError
    assert client.machine_ls() == []


@pytest.mark.usefixtures("smolvm")
def test_flat_functions(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert smolvm_wrapper.is_available()
    smolvm_wrapper.machine_create("vm", env={"A": "b"})
    smolvm_wrapper.machine_start("vm")
    smolvm_wrapper.wait_exec_ready("vm")
    Path("in").write_text("content")
    smolvm_wrapper.machine_cp("in", "vm:/in")
    result = smolvm_wrapper.machine_exec("vm", ["sh", "-c", "cat /in; echo $A; exit 5"])
    assert result == SmolvmRunResult(5, "contentb\n", "")
    smolvm_wrapper.machine_cp("vm:/in", "out")
    assert Path("out").read_text() == "content"
    smolvm_wrapper.machine_stop("vm")
    smolvm_wrapper.machine_delete("vm")
