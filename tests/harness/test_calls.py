"""What a test sees of a call: its environment, what went in and what came out, and no secret."""

from __future__ import annotations

import asyncio
import os
import subprocess
from typing import TYPE_CHECKING
from unittest import mock

import anyio
import pytest

from fake_smolvm.harness.on_path.journal import KEPT
from fake_smolvm.harness.verdicts.hazards import noted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fake_smolvm.harness.fixture import SmolvmFixture

ASK = ["smolvm", "--version"]
REFUSE = ["smolvm", "machine", "delete", "box"]
LARGE = b"x" * (3 * KEPT)
CUT = b"x" * KEPT + b"\n[\xe2\x80\xa6 131072 more bytes]"

pytestmark = pytest.mark.smolvm_allows("leak", "H7", "H10", reason="not what this is about")


def test_environment_as_it_was_given(either: SmolvmFixture) -> None:
    env = {"PATH": os.environ["PATH"], "SMOLVM_LOG": "debug", "LANG": "", "É": "\udcff"}
    subprocess.run(ASK, env=env, check=True)
    with mock.patch.dict(os.environ, {"SMOLVM_LOG": "trace"}):
        subprocess.run(ASK, check=True)
    given, inherited = either.calls
    assert given.env == env
    assert dict(given.env) == env
    assert inherited.env["SMOLVM_LOG"] == "trace"
    assert inherited.env["HOME"] == str(either.home)
    with pytest.raises(KeyError, match="NONE_SUCH"):
        _ = given.env["NONE_SUCH"]


def test_environment_is_never_shown(either: SmolvmFixture) -> None:
    env = {**os.environ, "PASSWORD": "hunter22", "LINK": "http://user:t0ken@host"}
    subprocess.run([*ASK, "-e", "T=t0ken"], env=env, check=False)
    (call,) = either.calls
    assert "hunter22" not in f"{call!r}{call.env!r}{call}{either.calls!r}{either.timeline()}"
    assert (call.env["LINK"], str(call.env["LINK"])) == (env["LINK"], "http://user:***@host")
    assert call.env["LINK"] != "http://user:other@host"


def by_input(_: SmolvmFixture) -> None:
    subprocess.run(ASK, input=b"x", check=True)


def by_text(_: SmolvmFixture) -> None:
    subprocess.run(ASK, input="é\n", encoding="latin-1", check=True)


def by_communicate(_: SmolvmFixture) -> None:
    with subprocess.Popen(ASK, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.communicate(b"x", timeout=60)


def by_writing(smolvm: SmolvmFixture) -> None:
    smolvm.hang("machine ls")  # else it may be gone before, and the pipe be broken
    command = ["smolvm", "machine", "ls"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True) as process:
        assert process.stdin
        process.stdin.write("a")
        print("b", file=process.stdin)
        process.stdin.writelines(["c"])
        process.stdin.flush()
        process.kill()


def by_asyncio(_: SmolvmFixture) -> None:
    async def main() -> None:
        process = await asyncio.create_subprocess_exec(*ASK, stdin=asyncio.subprocess.PIPE)
        await process.communicate(b"x")

    asyncio.run(main())


def by_anyio(_: SmolvmFixture) -> None:
    async def main() -> None:
        try:
            await anyio.run_process(ASK, input=b"x")
        except* (anyio.BrokenResourceError, ConnectionError):
            pass  # it was gone before, and anyio (an old one in other words) says so

    anyio.run(main)


@pytest.mark.parametrize(
    ("give", "given"),
    [
        (by_input, b"x"),
        (by_text, b"\xe9\n"),
        (by_communicate, b"x"),
        (by_writing, b"ab\nc"),
        (by_asyncio, b"x"),
        (by_anyio, b"x"),
    ],
)
def test_stdin_that_is_handed_over_and_never_read(
    either: SmolvmFixture, give: Callable[[SmolvmFixture], None], given: bytes
) -> None:
    give(either)
    assert [call.stdin for call in either.calls] == [given]


def test_stdin_from_elsewhere(either: SmolvmFixture, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"y\nmore")
    either.run("machine", "create", "box", check=True)
    with (tmp_path / "file").open("rb") as file:
        file.seek(1)
        subprocess.run(ASK, stdin=file, check=True)
        assert file.read() == b"\nmore"
        file.seek(0)
        subprocess.run(REFUSE, stdin=file, check=True)
    subprocess.run(REFUSE, stdin=subprocess.DEVNULL, check=False)
    # Of a pipe that is another program's, what it read: a line.
    either.run("machine", "create", "box", check=True)
    subprocess.run("printf 'y\\nz' | smolvm machine delete box", shell=True, check=True)  # noqa: S602
    _, ask, deleted, refused, _, piped = either.calls
    assert [call.stdin for call in (ask, deleted, refused, piped)] == [
        b"\nmore",
        b"y\nmore",
        b"",
        b"y\n",
    ]


def test_stdin_of_a_guest(either: SmolvmFixture) -> None:
    either.run("machine", "create", "box", check=True)
    either.run("machine", "start", "--name", "box", check=True)
    command = ["machine", "exec", "--name", "box", "-i", "--", "cat"]
    assert either.run(*command, input="to the guest").stdout == "to the guest"
    line = "printf 'by a shell' | smolvm machine exec --name box -i -- cat"
    assert subprocess.check_output(line, shell=True) == b"by a shell"  # noqa: S602
    assert [call.stdin for call in either.calls[-2:]] == [b"to the guest", b"by a shell"]
    assert [call.stdout for call in either.calls[-2:]] == ["to the guest", "by a shell"]
    either.run("machine", "stop", "--name", "box")


def test_output_is_there_and_bounded(either: SmolvmFixture, tmp_path: Path) -> None:
    subprocess.run(ASK, check=True)
    subprocess.run(["smolvm", "bogus"], check=False)
    either.fault("machine ls", stdout="x" * len(LARGE))
    either.run("machine", "ls", errors="replace")
    (tmp_path / "large").write_bytes(LARGE)
    with (tmp_path / "large").open("rb") as file:
        subprocess.run(ASK, stdin=file, check=True)
    subprocess.run(ASK, input=LARGE, check=True)
    version, bogus, failed, *large = either.calls
    assert (version.stdout, version.stderr) == ("smolvm 0.8.0\n", "")
    assert "unrecognized subcommand 'bogus'" in bogus.stderr
    assert failed.stdout.encode() == CUT
    assert [call.stdin for call in large] == [CUT, CUT]


def test_secrets_are_compared_and_not_shown(either: SmolvmFixture) -> None:
    either.run("machine", "create", "box", "-e", "PROXY=http://right", "-e", "BARE", check=True)
    call = either.calls.assert_called_once()
    right = ("smolvm", "machine", "create", "box", "-e", "PROXY=http://right", "-e", "BARE")
    wrong = (*right[:5], "PROXY=http://WRONG", *right[6:])
    masked = (*right[:5], "PROXY=***", *right[6:7], "***")
    assert call.argv == right
    assert call.argv != wrong
    assert call.argv != masked
    assert call.argv == (*right[:5], mock.ANY, *right[6:])
    assert tuple(map(str, call.argv)) == masked
    assert either.calls.argvs == [list(right)]
    assert "PROXY=http://right" in call.argv
    assert "PROXY=http://WRONG" not in call.argv
    assert set(right) == set(call.argv)
    either.calls.assert_called_once_with(*right)
    either.calls.assert_called_with(*right[:5], mock.ANY, *right[6:])
    with pytest.raises(AssertionError, match="no call of\n  smolvm '<ANY>'"):
        either.calls.assert_called_with("smolvm", mock.ANY)
    for refused in (wrong, masked):
        with pytest.raises(AssertionError) as failure:
            either.calls.assert_called_with(*refused)
        told = str(failure.value)
        assert "where the value of PROXY=*** is another" in told
        assert "http://" not in told


def test_assertion_on_masked_words_shows_which_value_differs(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import os
        WRONG = os.environ["WRONG"]

        def call(smolvm):
            smolvm.run("machine", "create", "-e", "TOKEN=hunter22", "-e", "B=c", "x", "--bogus")
            return smolvm.calls[0]

        def test_word(fake_smolvm):
            assert call(fake_smolvm).argv[4] == WRONG

        def test_words(fake_smolvm):
            argv = ("smolvm", "machine", "create", "-e", WRONG, "-e", "B=c", "y", "--bogus", "")
            assert call(fake_smolvm).argv == argv
        """
    )
    with mock.patch.dict(os.environ, {"WRONG": "TOKEN=wr0ng"}):
        result = pytester.runpytest("-vv")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "E *AssertionError: assert [[]'TOKEN=[*][*][*]'] == [[]'TOKEN=[*][*][*]']",
            "E *the value of TOKEN=[*][*][*] is another",
            "E *the value of TOKEN=[*][*][*] is another",
            "E *at index 7: 'x' != 'y'",
            "E *9 words, not 10",
        ]
    )
    result.stdout.no_fnmatch_line("*wr0ng*")


@pytest.mark.parametrize("width", range(KEPT - 12, KEPT + 2))
def test_secret_across_the_cut(fake_smolvm: SmolvmFixture, width: int) -> None:
    fake_smolvm.fault("machine exec", stderr=" " * width + "S3CRET-0123456789" + "x" * 99)
    fake_smolvm.run("machine", "exec", "-e", "T=S3CRET-0123456789", "--", "x")
    assert "S3" not in fake_smolvm.calls[-1].stderr


def test_secret_in_two_pieces(either: SmolvmFixture) -> None:
    either.guest_command(call=lambda argv, *_: (1, b"", b"S3CRET") if argv == ["x"] else None)
    either.run("machine", "create", "box", check=True)
    either.run("machine", "start", "--name", "box", check=True)
    script = "printf S3C >&2; sleep 0.1; printf RET >&2; exit 3"
    either.run("machine", "exec", "--name", "box", "--stream", "-e", "T=S3CRET", "--", "sh", "-c",
               script)  # fmt: skip
    assert either.calls[-1].stderr == "***"
    either.run("machine", "exec", "--name", "box", "--", "x")
    assert either.calls[-1].stderr == "***"
    either.run("machine", "stop", "--name", "box")


@pytest.mark.parametrize("how", ["create", "update", "smolfile"])
def test_secret_of_the_machine_in_a_later_call(
    either: SmolvmFixture, how: str, tmp_path: Path
) -> None:
    (tmp_path / "vm.toml").write_text('env = ["T=S3CRET-of-box"]\n', encoding="utf-8")
    given = {"create": ["-e", "T=S3CRET-of-box"], "smolfile": ["-s", str(tmp_path / "vm.toml")]}
    either.run("machine", "create", "box", *given.get(how, []), check=True)
    if how == "update":
        either.run("machine", "update", "box", "-e", "T=S3CRET-of-box", check=True)
    either.run("machine", "start", "--name", "box", check=True)
    said = either.run("machine", "exec", "--name", "box", "--", "sh", "-c", "echo $T >&2; exit 1")
    assert said.stderr == "S3CRET-of-box\n"
    assert either.calls[-1].stderr == "***\n"
    assert "S3CRET" not in either.timeline()
    either.run("machine", "stop", "--name", "box")
    folder = either._sandbox.folder  # noqa: SLF001
    assert not [path for path in folder.glob("calls.*") if b"S3CRET" in path.read_bytes()]


def test_damaged_notes_are_left_out(either: SmolvmFixture) -> None:
    subprocess.run("smolvm --version", shell=True, check=True)  # noqa: S602
    journal = either._sandbox.folder / "calls.journal"  # noqa: SLF001
    with journal.open("ab") as file:
        file.write(
            b"('start', 'cut sho\n\xff\n(\n()\n5\n('start', 1, 2)\n('end', '', 'x', 1, '', '')\n"
        )
        file.write(b"[" * 5000 + b"\n('start', 'in the mid")
    subprocess.run("smolvm --help", shell=True, check=True)  # noqa: S602
    assert [call.argv[1] for call in either.calls] == ["--version", "--help"]


def test_damaged_notes_of_hazards_are_left_out(tmp_path: Path) -> None:
    note = '{"hazard": "H8", "command": "machine exec", "machine": "a\u2028b", "consequence": "x"}'
    (tmp_path / "notes").write_text(f'{{"cut\n{note}\n5\n{"[" * 9999}\n{{"hazard', "utf-8")
    assert [finding.machine for finding in noted(str(tmp_path / "notes"))] == ["a\u2028b"]
    assert noted(str(tmp_path / "none")) == []


def test_call_that_cannot_be_noted_is_an_error(smolvm: SmolvmFixture) -> None:
    journal = smolvm._sandbox.folder / "calls.journal"  # noqa: SLF001
    journal.mkdir()
    done = smolvm.run("--version")
    journal.rmdir()
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (f"fake_smolvm: this call cannot be noted in {journal}: Is a directory\n")


@pytest.mark.parametrize("option", ["none", "rewrite"])
def test_recorded_call_is_there_once(pytester: pytest.Pytester, option: str) -> None:
    pytester.makepyfile(
        """
        def test_it(smolvm):
            smolvm.run("machine", "delete", "box", input="y")
            smolvm.run("machine", "delete", "box", input="n", env={**smolvm.env, "A": "b"})
            first, second = smolvm.calls
            assert (first.returncode, first.stdin, second.stdin) == (1, b"y", b"n")
            assert first.stderr == second.stderr == "Error: vm not found: box\\n"
            assert second.env["A"] == "b"
            smolvm.run("machine", "ls")
            assert smolvm.calls[2].stdout == "No machines found\\n"
        """
    )
    pytester.runpytest(f"--smolvm-record={option}").assert_outcomes(passed=1)


def test_line_separators_in_what_is_noted(either: SmolvmFixture, tmp_path: Path) -> None:
    name = "a\u2028\x85b:x"
    (tmp_path / name).write_text("1", encoding="utf-8")
    either.run("machine", "create", "box", check=True)
    either.run("machine", "start", "--name", "box", check=True)
    either.run("machine", "cp", name, "box:/tmp/x", cwd=tmp_path)
    either.fault("machine start", rc=3)
    assert either.run("machine", "start", "--name", "a\u2028b").returncode == 3
    assert either.calls[2].argv[3] == name
    either.run("machine", "stop", "--name", "box")


def test_failure_of_run_shows_no_secret(either: SmolvmFixture) -> None:
    secret = "hunter" + str(22)  # the traceback shows the source as well
    argv = ["machine", "exec", "-e", f"TOKEN={secret}", "--", "x"]
    with pytest.raises(subprocess.CalledProcessError) as failure:
        either.run(*argv, check=True)
    assert secret not in f"{failure.value}{failure.value!r}{failure.getrepr(style='long')}"
    assert failure.value.cmd == ["smolvm", *argv]
