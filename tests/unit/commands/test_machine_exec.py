"""What the recordings of real machines leave open about running commands in one."""

from __future__ import annotations

import hashlib
import threading
import time
from typing import TYPE_CHECKING

import pytest
from support.fake import hazards, run_here

from fake_smolvm.machines.agent import agent_of
from fake_smolvm.machines.paths import Paths
from fake_smolvm.machines.process import set_condition
from fake_smolvm.scenarios.guest_commands import provided
from fake_smolvm.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Fake, Said

EVERY_BYTE = bytes(range(256)) * 64
ENOENT = "No such file or directory (os error 2)"
NOT_SPAWNED = f"agent operation failed: vm exec: failed to spawn command: {ENOENT}"

TIMED_OUT = "\ncontainer timed out after 200ms"


class Box:
    """A running machine, and its host."""

    def __init__(self, fake: Fake, *options: str) -> None:
        self.fake = fake
        assert fake("machine", "create", "box", *options).code == 0
        assert fake("machine", "start", "--name", "box").code == 0

    def __call__(self, *argv: str, stdin: bytes = b"") -> Said:
        return self.fake("machine", "exec", "--name", "box", *argv, stdin=stdin)

    def sh(self, script: str, *options: str) -> Said:
        return self(*options, "--", "sh", "-c", script)

    def raw(self, *argv: str, stdin: bytes = b"", scenario: Scenario | None = None) -> bytes:
        line = ["machine", "exec", "--name", "box", *argv]
        env = {"HOME": str(self.fake.home)}
        cwd = str(self.fake.cwd)
        return run_here(env, *line, cwd=cwd, stdin=stdin, scenario=scenario).stdout

    def hazards(self) -> set[str]:
        return {hazard for hazard, _ in hazards(self.fake.home)}


@pytest.fixture
def box(fake: Fake) -> Box:
    return Box(fake)


@pytest.mark.parametrize(
    ("argv", "stdin", "code", "out"),
    [
        (["--", "echo", "'single' \"double\" $HOME `id` \\ *"], b"", 0,
         "'single' \"double\" $HOME `id` \\ *\n"),
        (["--", "sh", "-c", 'echo "$0 $1 $#"', "name", "a b"], b"", 0, "name a b 1\n"),
        (["--", "printf", "%s|", "a b", "", "c"], b"", 0, "a b||c|"),
        (["--", "grep", "x", "/etc/hostname"], b"", 1, ""),
        (["--", "/bin/sh", "-c", "exit 300"], b"", 44, ""),
        (["--", "/usr/bin/env", "-i", "A=1", "env"], b"", 0, "A=1\n"),
        (["-i", "--", "wc", "-c"], b"four", 0, "4\n"),
        (["-i", "--", "sh"], b"x=5\nfor i in 1 2; do\necho $x$i\ndone\nexit 9\necho no", 9,
         "51\n52\n"),
        (["-i", "--", "sh", "-c", "read a; read b; echo $b$a"], b"1\n2\n", 0, "21\n"),
        (["-t", "--", "sh", "-c", "echo a; echo b >&2"], b"", 0, "a\r\nb\r\n"),
        (["-w", "../etc", "--", "pwd"], b"", 0, "/etc\n"),
        (["--", "sh", "-c", "cd /tmp; kill -9 1; echo alive"], b"", 0, "alive\n"),
        (["--", "sh", "-c", "exit 137"], b"", 137, ""),
        (["--", "sh", "-c", "kill -USR1 $$; echo no"], b"", 255, ""),
        (["--", "sh", "-c", "command -v ls; command -v curl || echo none"], b"", 0,
         "/bin/ls\nnone\n"),
        (["--", "hostname"], b"", 0, "localhost\n"),
        (["--", "sh", "-c", "seq 1 150000 | tail -n 1"], b"", 0, "150000\n"),
    ],
)  # fmt: skip
def test_a_command(box: Box, argv: list[str], stdin: bytes, code: int, out: str) -> None:
    said = box(*argv, stdin=stdin)
    assert (said.code, said.out) == (code, out)


@pytest.mark.parametrize(
    ("option", "what"),
    [
        ([], "vm exec: failed to spawn command"),
        (["--stream"], "streaming exec"),
        (["-i"], "vm exec interactive"),
        (["-t"], "vm exec interactive"),
    ],
)
@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        (["--", "python3"], ENOENT),
        (["--", "cd"], ENOENT),
        (["-e", "PATH=/nowhere", "--", "ls"], ENOENT),
        (["-w", "/etc/passwd", "--", "ls"], "Not a directory (os error 20)"),
        (["--", "/etc/passwd"], "Permission denied (os error 13)"),
        (["--", "/tmp/binary"], "Exec format error (os error 8)"),  # noqa: S108
        (["--", "/tmp/odd"], ENOENT),  # noqa: S108
    ],
)
def test_a_command_that_does_not_start(
    box: Box, option: list[str], what: str, argv: list[str], reason: str
) -> None:
    box.sh("echo x > /tmp/binary; printf '#!/no/such\\n' > /tmp/odd; chmod +x /tmp/*")
    said = box(*option, *argv)
    assert (said.code, said.err) == (1, f"Error: agent operation failed: {what}: {reason}\n")


@pytest.mark.parametrize("script", ["sleep 900", "while :; do :; done", "sleep 900 & wait"])
@pytest.mark.parametrize("option", [[], ["--stream"], ["-i"]])
def test_a_timeout_interrupts(box: Box, script: str, option: list[str]) -> None:
    start = time.monotonic()
    said = box.sh(f"echo before; {script} >/dev/null; echo after", *option, "--timeout", "1s")
    assert (said.code, said.out, said.err) == (124, "before\n", "")
    assert time.monotonic() - start < 600


@pytest.mark.parametrize(
    ("argv", "stdin"),
    [
        (["-i", "--", "cat"], EVERY_BYTE),
        (["-i", "--", "sh", "-c", "cat"], EVERY_BYTE),
        (["-i", "--", "sh", "-c", "cat > /tmp/f; cat /tmp/f"], EVERY_BYTE),
        (["--stream", "--", "sh", "-c", "echo text; cat /tmp/bytes; exit 3"], b""),
        (["--", "sh", "-c", "echo text; cat /tmp/bytes"], b""),
    ],
)
def test_bytes_pass_unchanged(box: Box, argv: list[str], stdin: bytes) -> None:
    if not stdin:
        box.raw("-i", "--", "sh", "-c", "cat > /tmp/bytes", stdin=EVERY_BYTE)
    expected = stdin or b"text\n" + EVERY_BYTE
    seen = box.raw(*argv, stdin=stdin)
    assert hashlib.sha256(seen).hexdigest() == hashlib.sha256(expected).hexdigest()


def test_nothing_of_a_shell_is_left_for_the_next(box: Box) -> None:
    box.sh("x=1; f() { :; }; cd /etc; export Y=2; set -e; alias a=b; umask 077; echo kept > /tmp/f")
    said = box.sh("pwd; echo [$x$Y]; f 2>/dev/null || echo no f; cat /tmp/f; false; echo on")
    assert said.out == "/\n[]\nno f\nkept\non\n"


@pytest.mark.parametrize(
    ("options", "out"),
    [
        ([], "made tmp\n"),
        (["-e", "V=given"], "given tmp\n"),
        (["-e", "V=first", "-e", "V=last", "-w", "/etc"], "last etc\n"),
    ],
)
def test_what_is_given_comes_before_what_the_machine_has(
    fake: Fake, options: list[str], out: str
) -> None:
    box = Box(fake, "-e", "V=made", "-w", "/tmp")  # noqa: S108
    assert box.sh('echo "$V ${PWD#/}"', *options).out == out


def test_files_stay_over_stop_and_start(box: Box) -> None:
    box.sh("echo kept > /root/f; ln -s /root/f /root/l")
    assert box.fake("machine", "stop", "--name", "box").code == 0
    assert box.fake("machine", "start", "--name", "box").code == 0
    assert box.sh("cat /root/l; readlink /root/l").out == "kept\n/root/f\n"


@pytest.mark.parametrize("link", ["{outside}", "../../../../../../../../../..{outside}"])
@pytest.mark.parametrize(
    "script",
    [
        "cat /tmp/link/secret",
        "echo stolen > /tmp/link/secret",
        "echo new > /tmp/link/new",
        "cd /tmp/link && cat secret",
        "cp /tmp/link/secret /tmp/copy; cat /tmp/copy",
        "cat /tmp/link/../secret",
        "dd if=/dev/zero of=/tmp/link/secret bs=1 count=1",
        "ln -s x /tmp/link/new",
        "rm -rf /tmp/link/",
        "find /tmp/link/ -name secret -exec cat {} \\;",
    ],
)
def test_no_link_leads_out_of_the_machine(box: Box, link: str, script: str) -> None:
    outside = box.fake.cwd / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    root = box.fake.home / ".fake_smolvm/vms"
    box.sh("true; :")
    temporary = next(root.glob("*/root/tmp"))
    (temporary / "link").symlink_to(link.format(outside=outside))
    assert "secret" not in box.sh(script).out
    box("--", "cat", "/tmp/link/secret")  # noqa: S108
    assert [file.name for file in outside.iterdir()] == ["secret"]
    assert (outside / "secret").read_text() == "secret"


def test_volumes_are_the_hosts_folders(fake: Fake) -> None:
    (fake.cwd / "data").mkdir()
    (fake.cwd / "data" / "f").write_text("shared\n")
    box = Box(fake, "-v", "data:/mnt/rw", "-v", "data:/mnt/ro:ro", "-v", "data:/workspace")
    said = box.sh("cat /mnt/*/f /workspace/f; echo new > /mnt/rw/g; echo no > /mnt/ro/h")
    assert (said.code, said.out) == (1, "shared\n" * 3)
    assert said.err == "sh: can't create /mnt/ro/h: Read-only file system\n"
    assert sorted(file.name for file in (fake.cwd / "data").iterdir()) == ["f", "g"]


def test_many_execs_at_once_on_a_root_not_laid_out_yet(box: Box) -> None:
    said: list[Said] = []
    threads = [
        threading.Thread(target=lambda n=n: said.append(box.sh(f"sleep 0.4; echo {n}")))
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.out for one in said) == ["0\n", "1\n", "2\n", "3\n"]


@pytest.mark.parametrize(
    ("option", "out", "err"),
    [
        ([], "", "Error: io operation failed: connection closed\n"),
        (["--stream"], "first\n", "error: io operation failed: connection closed\n"),
        (["-i"], "first\n", "Error: io operation failed: connection closed\n"),
    ],
)
def test_a_machine_that_dies_meanwhile(box: Box, option: list[str], out: str, err: str) -> None:
    process = agent_of(Paths({"HOME": str(box.fake.home)}), "box")
    assert process is not None

    def die(argv: list[str], *_: object) -> tuple[int, bytes, bytes] | None:
        if argv != ["die"]:
            return None
        set_condition(process.pid, "gone")
        return 0, b"", b""

    said = box.fake(
        *("machine", "exec", "--name", "box", *option, "--", "sh", "-c"),
        "echo first; die; sleep 900",
        scenario=Scenario([], [die]),
    )
    assert (said.code, said.out, said.err) == (1, out, err)


@pytest.mark.parametrize(
    ("hazard", "use"),
    [
        ("H6", lambda box: box.fake("machine", "exec", "box", "--", "true")),
        ("H7", lambda box: box("--", "false")),
        ("H8", lambda box: box("-e", "NOEQ", "--", "true")),
        ("H11", lambda box: box("--stream", "--timeout", "100ms", "--", "cat")),
        ("H12", lambda box: box.sh("exit 255")),
        ("H14", lambda box: box("--", "head", "-c", "11534400", "/dev/zero")),
    ],
)
def test_hazards_are_noted(box: Box, hazard: str, use: Callable[[Box], Said]) -> None:
    assert box.hazards() == set()
    use(box)
    assert box.hazards() == {hazard}


def test_output_is_cut_at_11_mib(box: Box) -> None:
    for size, code in ((11 << 20, 0), ((11 << 20) + 100, 0), (30_000_000, 255)):
        said = box("--", "head", "-c", str(size), "/dev/zero")
        assert (said.code, len(said.out)) == (code, 11 << 20)


def test_the_test_provides_commands_on_their_own_and_in_scripts(box: Box) -> None:
    scenario = Scenario([], [provided(prefix=["python3"], stdout="Python 3.12.1\n")])
    for argv in (["python3", "-V"], ["sh", "-c", "python3 -V | cat; nope"]):
        assert box.raw("--", *argv, scenario=scenario) == b"Python 3.12.1\n"


def test_a_child_left_behind_ends_with_its_machine(box: Box) -> None:
    box.sh("while :; do echo tick >> /tmp/f; sleep 0.05; done >/dev/null 2>&1 & true")
    ticks = next(box.fake.home.glob(".fake_smolvm/vms/*/root/tmp")) / "f"
    while not (ticks.exists() and ticks.stat().st_size > 5):
        time.sleep(0.02)
    box.fake("machine", "stop", "--name", "box")
    size = -1
    while size != ticks.stat().st_size:
        size = ticks.stat().st_size
        time.sleep(0.3)


def test_a_shell_on_a_terminal(box: Box) -> None:
    said = box.fake("machine", "shell", "--name", "box", stdin=b"cd /tmp\necho hi\n")
    assert said.out == ("cd /tmp\r\necho hi\r\n/ # cd /tmp\r\n/tmp # echo hi\r\nhi\r\n/tmp # \r\n")


@pytest.mark.parametrize(
    ("argv", "code", "out", "err"),
    [
        (["--", "sh", "-c", "echo o; exit 7"], 7, "o\n", ""),
        (["-e", "A=1", "-w", "/etc", "--", "sh", "-c", "echo $A; pwd"], 0, "1\n/etc\n", ""),
        (["--net", "-I", "ubuntu:24.04", "--", "head", "-c", "24", "/etc/os-release"], 0,
         'PRETTY_NAME="Ubuntu 24.0', "Pulling image ubuntu:24.04...\r"),
        (["--timeout", "200ms", "--", "sleep", "9"], 124, "", ""),
        (["--net", "-I", "alpine", "--timeout", "200ms", "--", "sleep", "9"], 124, "",
         f"Pulling image alpine...\rPulling image alpine... done.{' ' * 30}\n{TIMED_OUT}"),
        (["--", "/no/such"], 1, "",
         f"Error: {NOT_SPAWNED}\n"),
        (["--", "nope"], 1, "",
         f"Error: agent operation failed: vm exec: {NOT_SPAWNED}\n\nNote: 'nope' was not found"),
    ],
)  # fmt: skip
def test_a_machine_made_for_one_command(
    fake: Fake, argv: list[str], code: int, out: str, err: str
) -> None:
    said = fake("machine", "run", *argv)
    first, _, rest = said.err.partition("\n")
    assert first.startswith("Starting ephemeral machine (vm-")
    assert (said.code, said.out) == (code, out)
    assert rest.startswith(err)
    assert fake("machine", "ls").out == "No machines found\n"
    assert not list((fake.home / ".fake_smolvm/vms").iterdir())


def test_a_detached_machine_runs_its_command_and_stays(fake: Fake) -> None:
    said = fake("machine", "run", "-d", "--name", "kept", "--", "sh", "-c", "echo ran > /tmp/f")
    assert (said.code, said.err) == (0, "Starting persistent machine...\n")
    while True:
        seen = fake("machine", "exec", "--name", "kept", "--", "cat", "/tmp/f")  # noqa: S108
        if seen.code == 0:
            break
        time.sleep(0.02)
    assert seen.out == "ran\n"
    assert "already exists" in fake("machine", "run", "-d", "--name", "kept", "--", "true").err
