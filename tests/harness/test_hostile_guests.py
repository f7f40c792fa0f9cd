"""Whatever a guest does, the harness lives: what ends is the guest's command, within its bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from fake_smolvm.harness.fixture import SmolvmFixture

ITSELF = "printf '#!/bin/sh\\n%s\\n' > /root/s; chmod +x /root/s; /root/s"
HOSTILE = [
    *("nc -z 127.0.0.1 80", "dc", "lsof", "getopt", "shred /etc/passwd", "/usr/bin/nc 127.0.0.1 9"),
    *(ITSELF % line for line in ("/root/s", "exec /root/s", "env /root/s", "nohup /root/s")),
    *(
        ITSELF % line
        for line in ("echo a | xargs /root/s", "sh /root/s", ". /root/s", "x=$(/root/s)")
    ),
    's=\'eval "$s"\'; eval "$s"',
    "trap 'eval :' EXIT; eval 'trap \"eval exit\" EXIT; exit'",
    "f() { f; }; f",
    "f() { x=$(f); }; f",
    "f() { f | f & }; f; wait",
    "alias a='a a'; a",
    "printf 'exec own' > /usr/local/bin/own; chmod +x /usr/local/bin/own; own",
    "x=a; while :; do x=$x$x; done",
    "x=$(yes); seq 1 1000000000 | wc -l",
    "while :; do :; done",
    "awk 'BEGIN { while (1); }'",
    "cat /dev/zero",
    "dd if=/dev/zero of=/tmp/full bs=1M; rm /tmp/full",
    "echo {1..100000000} | wc -c",
    f"[ {'( ' * 20000}a{' )' * 20000} ]",
    f"echo '{'(' * 20000}1{')' * 20000}' | bc",
    f"{'(' * 5000}true{')' * 5000}",
    f"echo $(({'-' * 20000}1))",
    f"true {'a ' * 10000}",
    "echo a | sed ':a;s/.*/&&/;ba'",
    "echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa! | grep -E '^(a+)+$'",
    "ln -s b /tmp/a; ln -s a /tmp/b; cat /tmp/a; cd /tmp/a",
]


CRASHES = [
    ITSELF % "exec /root/s",
    's=\'eval "$s"\'; eval "$s"',
    "printf 'exec own' > /usr/local/bin/own; chmod +x /usr/local/bin/own; own",
]


@pytest.fixture
def box(either: SmolvmFixture) -> Iterator[SmolvmFixture]:
    either.run("machine", "create", "box", check=True)
    either.run("machine", "start", "--name", "box", check=True)
    yield either
    either.run("machine", "stop", "--name", "box", check=True)
    either.run("machine", "delete", "-f", "box", check=True)


@pytest.mark.smolvm_allows("H7", "H12", "H14", reason="any exit code, and any output, will do")
def test_a_hostile_guest_ends_and_the_machine_goes_on(box: SmolvmFixture) -> None:
    execute = ("machine", "exec", "--name", "box")
    box.run(*execute, "--", "ls", "/bin")
    for script in HOSTILE:
        done = box.run(*execute, "--timeout", "2s", "--", "sh", "-c", script)
        # Its own exit code, the timeout's, or that of a signal; never the fake's own end.
        assert done.returncode in range(256), script
        assert "Traceback" not in done.stderr, script
        alive = box.run(*execute, "--", "sh", "-c", "echo alive | cat")
        assert alive.stdout == "alive\n", script


@pytest.mark.smolvm_allows("H12", reason="255 is what is asked for")
@pytest.mark.parametrize("script", CRASHES)
def test_a_crash_of_the_guests_shell_is_the_guests(box: SmolvmFixture, script: str) -> None:
    done = box.run("machine", "exec", "--name", "box", "--", "sh", "-c", script)
    assert done.returncode == 255
    assert done.stderr.startswith("fake_smolvm: killed: ")


@pytest.mark.smolvm_allows("H7", reason="1 is what is asked for")
def test_a_command_the_shell_lacks_is_found_and_run_by_name_and_by_path(box: SmolvmFixture) -> None:
    box.run("machine", "exec", "--name", "box", "--", "ls", "/bin")
    for command in (["nc", "-z", "127.0.0.1", "80"], ["/usr/bin/nc", "-z", "127.0.0.1", "80"]):
        done = box.run("machine", "exec", "--name", "box", "--", *command)
        assert (done.returncode, done.stdout, done.stderr) == (1, "", "")


@pytest.mark.parametrize("how", [["shred", "x"], ["sh", "-c", "shred x"], ["/usr/bin/shred", "x"]])
def test_a_command_that_only_the_test_can_provide(box: SmolvmFixture, how: list[str]) -> None:
    execute = ("machine", "exec", "--name", "box", "--")
    box.run(*execute, "ls", "/bin")
    missed = box.run(*execute, *how)
    assert missed.returncode == 127
    assert missed.stderr.startswith("fake_smolvm: 'shred' is in this guest, but not emulated")
    assert "smolvm.guest_command('shred', ...)" in missed.stderr
    if "/" not in how[0]:
        box.guest_command("shred", "x", stdout="done\n")
        assert box.run(*execute, *how).stdout == "done\n"


def test_a_command_apart_has_its_folder_its_stdin_and_what_the_test_provides(
    box: SmolvmFixture,
) -> None:
    def deploy(
        argv: list[str], env: Mapping[str, str], cwd: str, _: bytes
    ) -> tuple[int, bytes, bytes] | None:
        return (3, f"{argv} {env['A']} {cwd}".encode(), b"") if argv[0] == "deploy" else None

    box.guest_command(call=deploy)
    script = "eval 'cat'; eval 'deploy now'"
    done = box.run(
        *("machine", "exec", "--name", "box", "-i", "-e", "A=b c", "-w", "/srv"),
        *("--", "sh", "-c", script),
        input="given\n",
    )
    assert (done.returncode, done.stdout) == (3, "given\n['deploy', 'now'] b c /srv")
