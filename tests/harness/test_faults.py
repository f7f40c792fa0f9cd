"""Faults, scenarios and guest commands: the same in process and out of process."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fake_smolvm import scenarios
from fake_smolvm.scenarios import ScenarioError
from fake_smolvm.scenarios.scenario import load

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fake_smolvm.harness.fixture import SmolvmFixture

pytestmark = pytest.mark.smolvm_allows("leak", reason="what breaks is not cleaned up")


@pytest.fixture
def box(either: SmolvmFixture) -> SmolvmFixture:
    either.run("machine", "create", "box", check=True)
    return either


def test_fault_in_place_of_a_command(box: SmolvmFixture) -> None:
    box.fault("machine start", rc=3, stdout="{machine}!", stderr="Error: no\n", machine="box")
    started = box.run("machine", "start", "--name", "box")
    assert (started.returncode, started.stdout, started.stderr) == (3, "box!", "Error: no\n")
    assert box.machine("box").state == "created"
    assert box.run("machine", "start", "--name", "other").returncode == 1
    assert box.run("machine", "ls").returncode == 0


def test_fault_skips_and_counts(box: SmolvmFixture) -> None:
    box.fault("machine ls", rc=9, skip=1, times=2)
    assert [box.run("machine", "ls").returncode for _ in range(5)] == [0, 9, 9, 0, 0]


def test_fault_of_a_family(box: SmolvmFixture) -> None:
    box.fault("machine", rc=9)
    assert box.run("machine", "status").returncode == 9
    assert box.run("config", "show").returncode == 0
    assert box.run("machine", "bogus").returncode == 2


def test_delay(box: SmolvmFixture) -> None:
    box.delay(0.3, "machine ls")
    start = time.monotonic()
    assert "box" in box.run("machine", "ls").stdout
    assert time.monotonic() - start >= 0.3


def test_machine_dies_mid_exec(box: SmolvmFixture) -> None:
    box.run("machine", "start", "--name", "box", check=True)
    box.kill_machine("box")
    died = box.run("machine", "exec", "--name", "box", "--", "true")
    assert (died.returncode, died.stderr) == (1, "Error: io operation failed: connection closed\n")
    assert box.machine("box").state == "stopped"
    after = box.run("machine", "exec", "--name", "box", "--", "true")
    assert "is not running" in after.stderr


@pytest.mark.parametrize("command", ["machine cp", "machine create"])
def test_disk_full(box: SmolvmFixture, command: str, tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    box.disk_full(command)
    argv = {"machine cp": ["machine", "cp", str(tmp_path / "f"), "box:/f"],
            "machine create": ["machine", "create", "bax"]}[command]  # fmt: skip
    done = box.run(*argv)
    assert done.returncode == 1
    assert "No space left on device (os error 28)" in done.stderr


def test_kvm_missing_and_other_named_scenarios(box: SmolvmFixture) -> None:
    box.kvm_missing()
    assert "kvm not available" in box.run("machine", "start", "--name", "box").stderr
    with pytest.raises(FileNotFoundError):
        box.scenario("no-such-thing")


@pytest.mark.parametrize(
    ("name", "stderr"),
    [
        ("no-kvm", "kvm not available"),
        ("agent-never-ready", "agent did not become ready within 30 seconds"),
        ("start-race", "another process is already starting or running this VM"),
        ("store-corrupt", "file is not a database"),
    ],
)
def test_scenario_that_keeps_a_machine_from_starting(
    box: SmolvmFixture, name: str, stderr: str
) -> None:
    box.scenario(name)
    started = box.run("machine", "start", "--name", "box")
    assert started.returncode == 1
    assert stderr in started.stderr


def test_pull_fails(either: SmolvmFixture, tmp_path: Path) -> None:
    either.scenario("pull-fails")
    packed = either.run("pack", "create", "--image", "alpine", "-o", str(tmp_path / "p"))
    assert packed.returncode == 1
    assert "network is unreachable" in packed.stderr


def test_every_named_scenario_loads() -> None:
    names = [path.stem for path in Path(scenarios.__file__).parent.glob("*.toml")]
    assert len(names) >= 6
    for name in names:
        assert load(name).faults


def test_scenario_file_without_pytest(tmp_path: Path) -> None:
    scenario = tmp_path / "s.toml"
    scenario.write_text('[[fault]]\ncommand = "machine ls"\nexit = 5\n', encoding="utf-8")
    env = {"HOME": str(tmp_path), "FAKE_SMOLVM_SCENARIO": str(scenario)}
    fake = Path(sys.executable).with_name("fake_smolvm")
    run = [fake] if fake.exists() else [sys.executable, "-c", MAIN]
    done = subprocess.run([*run, "machine", "ls"], env=env, check=False)
    assert done.returncode == 5
    env["FAKE_SMOLVM_SCENARIO"] = "no-such-scenario"
    done = subprocess.run([*run, "machine", "ls"], env=env, check=False, capture_output=True)
    assert done.returncode == 2
    assert b"FAKE_SMOLVM_SCENARIO: " in done.stderr


MAIN = "import sys; from fake_smolvm.entry import main; sys.exit(main())"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[[fault]]\nexit = 1", "a fault needs a command"),
        ('[[fault]]\ncommand = "x"\nexot = 1', "no 'exot', only"),
        ('[[fault]]\ncommand = "x"\nexit = "1"', "exit is '1'"),
        ("[[folt]]", "no 'folt'"),
        ("[[guest]]\nexit = 0", "either a command or a prefix"),
        ("[[", "s.toml"),
    ],
)
def test_scenario_that_makes_no_sense(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "s.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ScenarioError, match=complaint):
        load(str(tmp_path / "s.toml"))


def in_guest(smolvm: SmolvmFixture, *argv: str) -> tuple[int, str, str]:
    options = ["--name", "box", "-e", "KEY=value", "-w", "/root"]
    done = smolvm.run("machine", "exec", *options, "--", *argv)
    return done.returncode, done.stdout, done.stderr


def test_guest_commands(box: SmolvmFixture) -> None:
    box.run("machine", "start", "--name", "box", check=True)

    def greet(
        argv: list[str], env: Mapping[str, str], workdir: str, stdin: bytes
    ) -> tuple[int, bytes, bytes] | None:
        if argv[0] != "greet":
            return None
        return 4, json.dumps([argv, env["KEY"], workdir, len(stdin)]).encode(), b"\xc3\xa9"

    box.guest_command("python3", "-V", stdout="Python 3.12.1\n")
    box.guest_command(prefix=["git"], exit=128, stderr="fatal: not a git repository\n")
    box.guest_command(call=greet)
    assert in_guest(box, "python3", "-V") == (0, "Python 3.12.1\n", "")
    assert in_guest(box, "git", "status") == (128, "", "fatal: not a git repository\n")
    assert in_guest(box, "greet", "me") == (4, '[["greet", "me"], "value", "/root", 0]', "é")
    assert in_guest(box, "python3", "-c", "")[0] == 1
    assert in_guest(box, "echo", "on its own") == (0, "on its own\n", "")


def test_guest_command_is_one_or_the_other(fake_smolvm: SmolvmFixture) -> None:
    with pytest.raises(ValueError, match="either a command or a prefix"):
        fake_smolvm.guest_command()


def test_guest_command_that_raises_is_told_and_the_next_one_answered(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(
        r"""
        import pytest

        def own(argv, env, workdir, stdin):
            if argv[0] == "mine":
                return {"odd": ("1", b"", b""), "short": (0, b""), "code": (256, b"", b""),
                        "type": (0, 1, b""), "text": (0, "\xe9\n", ""), "list": [0, b"l\n", b""],
                        "none": None}[argv[1]]
            if argv[0] == "raise":
                raise {"bug": ValueError("my own bug"), "stop": KeyboardInterrupt(),
                       "fail": AssertionError("not so"), "exit": SystemExit(3)}[argv[1]]
            if argv[0] == "fail":
                pytest.fail("said by pytest")
            return (0, b"ok\n", b"") if argv[0] == "cc" else None

        async def later(argv, env, workdir, stdin):
            return 0, b"", b""

        @pytest.fixture(params=["smolvm", "fake_smolvm"])
        def vm(request):
            vm = request.getfixturevalue(request.param)
            vm.run("machine", "create", "box", check=True)
            vm.run("machine", "start", "--name", "box", check=True)
            yield vm
            vm.run("machine", "stop", "--name", "box", check=True)
            vm.run("machine", "delete", "-f", "box", check=True)

        def inside(vm, *argv):
            done = vm.run("machine", "exec", "--name", "box", "-e", "T=S3CRET", "--", *argv)
            return done.returncode, done.stdout, done.stderr

        def test_it(vm):
            vm.guest_command(call=own)
            for argv, told in [
                (("raise", "bug"), "own raised ValueError: my own bug"),
                (("raise", "stop"), "own raised KeyboardInterrupt"),
                (("raise", "fail"), "own raised AssertionError: not so"),
                (("raise", "exit"), "own raised SystemExit: 3"),
                (("fail",), "own raised Failed: said by pytest"),
                (("mine", "odd"), "an exit code is a number from 0 to 255, not '1'"),
                (("mine", "short"), "must return (exit code, stdout, stderr), or None for an "
                                    "argv that it does not know, not (0, b'')"),
                (("mine", "code"), "an exit code is a number from 0 to 255, not 256"),
                (("mine", "type"), "what it says is bytes or a str, not 1"),
            ]:
                code, stdout, stderr = inside(vm, *argv)
                assert (code, stdout) == (1, "")
                assert stderr.startswith("fake_smolvm: the test's guest command own ")
                assert told in stderr
                assert inside(vm, "cc") == (0, "ok\n", "")
            assert inside(vm, "mine", "text") == (0, "\xe9\n", "")
            assert inside(vm, "mine", "list") == (0, "l\n", "")

        def test_coroutine(vm):
            vm.guest_command(call=later)
            assert "is a coroutine, which nobody awaits here" in inside(vm, "x")[2]

        def test_failed_too(vm):
            vm.guest_command(call=own)
            assert inside(vm, "raise", "bug")[0] == 0
        """
    )
    result = pytester.runpytest("-W", "ignore::fake_smolvm.SmolvmHazardWarning")
    result.assert_outcomes(passed=4, errors=4, failed=2)
    result.stdout.fnmatch_lines(
        [
            "the test's guest command own raised ValueError: my own bug",
            "Traceback (most recent call last):",
            "*test_guest_command_that_raises*, in own",
            "    raise {*",
            "ValueError: my own bug",
            "*Failed: said by pytest",
            "the test's guest command own must return *",
            "*- smolvm guest command -*",
            "the test's guest command own raised ValueError: my own bug",
        ]
    )


def test_guests_are_answered_side_by_side(box: SmolvmFixture) -> None:
    both = threading.Barrier(2)

    def meet(argv: list[str], *_: object) -> tuple[int, bytes, bytes] | None:
        if argv != ["meet"]:
            return None
        both.wait(60)
        return 0, b"met\n", b""

    box.run("machine", "start", "--name", "box", check=True)
    box.guest_command(call=meet)
    command = ["smolvm", "machine", "exec", "--name", "box", "--", "meet"]
    guests = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
    assert [guest.communicate()[0] for guest in guests] == [b"met\n"] * 2
