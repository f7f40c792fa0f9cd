"""The public API as users write it. Never run: mypy and pyright read it (test_typing.py)."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, assert_type

import fake_smolvm
import smolvm_wrapper
from fake_smolvm import (
    Call,
    Calls,
    InProcessFixture,
    SandboxError,
    SmolvmFixture,
    SmolvmHazardWarning,
    Verdict,
    check,
    sandbox,
)
from smolvm_wrapper import (
    AsyncExecStream,
    AsyncMachine,
    AsyncSmolvm,
    Command,
    CommandBuilder,
    ExecStream,
    Guards,
    GuestTimeoutError,
    Machine,
    MachineInfo,
    Smolvm,
    SmolvmError,
    SmolvmRunResult,
    State,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Coroutine

Output = tuple[Literal["stdout", "stderr"], bytes]


def flat_functions() -> None:
    assert_type(smolvm_wrapper.is_available(), bool)
    assert_type(
        smolvm_wrapper.machine_exec("vm", ["true"], env={"A": "b"}, workdir="/", timeout="1m"),
        SmolvmRunResult,
    )
    smolvm_wrapper.machine_create("vm", from_path=Path("x"), allow_cidrs=["10.0.0.0/8"])
    smolvm_wrapper.machine_exec("vm", ["true"], timeout=timedelta(seconds=3))


def sync_client() -> None:
    client = Smolvm("/opt/smolvm", version="1.4.0", guards=Guards(unknown_stop=False))
    assert_type(client.version, str)
    assert_type(client.machine_ls(), list[MachineInfo])
    assert_type(client.machine_start("vm"), bool)
    info = client.machine_status("vm")
    assert_type(info.state, State)
    assert_type(info.pid, int | None)
    assert_type(client.machine_images("vm"), dict[str, Any])
    assert_type(client.machine_data_dir("vm"), str)
    assert_type(client.machine_exec("vm", ["id"], stdin=[b"x"], timeout=3).check(), SmolvmRunResult)
    with client.machine("vm", image="alpine", cpus=2, env={"A": "b"}) as machine:
        assert_type(machine, Machine)
        assert_type(machine.exec(["true"]).stdout_bytes, bytes)
        machine.cp_out("/etc/hosts", Path("hosts"))
    with client.stream("vm", ["true"], host_timeout=2.5) as stream:
        assert_type(stream, ExecStream)
        for output in stream:
            assert_type(output, Output)
        assert_type(stream.result, SmolvmRunResult | None)

    assert_type(Smolvm.machine_start(client, "vm"), bool)
    assert_type(client.upload(Path("file"), "vm:/file"), None)

    client.machine_create(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.machine_create("vm", cpu=2)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    client.machine()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def async_client() -> None:
    client = AsyncSmolvm()
    assert_type(await client.version, str)
    listing: Coroutine[Any, Any, list[MachineInfo]] = client.machine_ls()
    assert_type(await listing, list[MachineInfo])
    assert_type(await client.machine_start("vm"), bool)
    assert_type(await client.machine_exec("vm", ["true"]), SmolvmRunResult)
    async with client.machine("vm", image="alpine") as machine:
        assert_type(machine, AsyncMachine)
        assert_type((await machine.exec(["true"])).stdout, str)
    async with client.stream("vm", ["true"]) as stream:
        assert_type(stream, AsyncExecStream)
        async for output in stream:
            assert_type(output, Output)

    assert_type(await AsyncSmolvm.machine_start(client, "vm"), bool)
    await client.download("vm:/file", "file")

    await client.machine_create("vm", mem="1G")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


class Mine(Smolvm):
    def machine_start(self, name: str) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        return super().machine_start(name)


def pure_commands() -> None:
    commands = CommandBuilder("1.4.0")
    assert_type(commands.machine_start("vm"), Command[bool])
    assert_type(commands.machine_start("vm").argv, tuple[str, ...])


def errors() -> None:
    try:
        Smolvm().machine_exec("vm", ["true"], timeout=1).check()
    except GuestTimeoutError as error:
        assert_type(error.returncode, int | None)
    except UsageError as error:
        assert_type(error.argv, list[str])
    except SmolvmError as error:
        assert_type(error.stderr, str)


def fixtures(smolvm: SmolvmFixture, fake_smolvm: InProcessFixture) -> None:
    assert_type(smolvm.mode, Literal["fake", "real", "replay"])
    assert_type(smolvm.calls, Calls)
    assert_type(smolvm.calls[0], Call)
    assert_type(smolvm.calls.filter("machine start").assert_called_once(), Call)
    assert_type(smolvm.machine("box").state, str)
    assert_type(smolvm.run("machine", "ls").stdout, str)
    smolvm.fault("machine start", rc=3, machine="box", times=1)
    fake_smolvm.guest_command("make", stdout="done")
    smolvm.fault("machine start", rc="3")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    smolvm.falt("machine start")  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]


def machine_of(smolvm: SmolvmFixture) -> fake_smolvm.Machine:
    return smolvm.machine("box")


def blocks() -> None:
    try:
        with sandbox("real", cli="1.4.0", allows={"H3": "to show it"}) as smolvm:
            assert_type(smolvm, SmolvmFixture)
    except SandboxError as error:
        assert_type(error.args, tuple[Any, ...])
    assert_type(SmolvmHazardWarning("H5"), SmolvmHazardWarning)
    assert_type(check(["machine", "ls"]), list[Verdict])
