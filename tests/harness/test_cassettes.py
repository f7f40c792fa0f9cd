"""Recording a real smolvm, and playing that again. A shell script stands in for the real one."""

from __future__ import annotations

import tomllib
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

LIFE = """
import subprocess

def smolvm_(*argv, **options):
    return subprocess.run(["smolvm", *argv], capture_output=True, **options)

def test_life(smolvm, tmp_path):
    smolvm_("machine", "create", "box")
    started = smolvm_("machine", "start", "--name", "box")
    pid = int(started.stdout.split(b"PID: ")[1].rstrip(b")\\n"))
    assert smolvm_("machine", "status", "--name", "box").stdout.startswith(b'{"pid": ')
    said = smolvm_("machine", "exec", "--name", "box", "-e", "TOKEN=hunter22", "--", "env",
                   env={**smolvm.env, "TOKEN": "hunter22"})
    assert said.stdout == b"hunter22 and hunter22 <HOME>\\n"
    assert smolvm_("machine", "exec", "--name", "box", "--", "bytes").stdout == b"a\\xff\\x1bz"
    echo = smolvm_("machine", "exec", "--name", "box", "-i", "--", "cat", input=b"in\\n")
    assert echo.stdout == b"in\\n"
    both = subprocess.run(["smolvm", "machine", "exec", "--name", "box", "--", "both"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert (both.returncode, both.stdout) == (3, b"out\\nerr\\nout\\n")
    assert smolvm_("machine", "exec", "--name", "box", "--", "die").returncode == -11
    copy = tmp_path / "copy"
    smolvm_("machine", "cp", "box:/file", str(copy))
    assert copy.read_text() == "content\\n"
    assert smolvm_("machine", "cp", "box:/missing", "copy", cwd=tmp_path).returncode == 1
    assert not copy.exists()
    smolvm_("machine", "delete", "-f", "box")
"""


@pytest.fixture
def record(pytester: pytest.Pytester, stand_in: Path) -> Any:
    """Record a test, and give its cassette."""

    def record(source: str, *args: str) -> dict[str, Any]:
        pytester.makepyfile(source)
        result = pytester.runpytest(
            "--smolvm=real", f"--smolvm-binary={stand_in}", "--smolvm-record=rewrite", *args
        )
        result.assert_outcomes(passed=1)
        (path,) = pytester.path.glob("cassettes/*/*.toml")
        return tomllib.loads(path.read_text(encoding="utf-8"))

    return record


def replay(pytester: pytest.Pytester, source: str = "") -> pytest.RunResult:
    if source:
        pytester.makepyfile(source)
    return pytester.runpytest("--smolvm=replay")


def test_a_life_recorded_and_played(pytester: pytest.Pytester, record: Any, stand_in: Path) -> None:
    cassette = record(LIFE)
    (path,) = pytester.path.glob("cassettes/*/*.toml")
    calls = {call["argv"][1] + call["argv"][-1]: call for call in cassette["call"]}

    # Where it is from.
    assert cassette["source"] == "real"
    assert cassette["version"] == "0.8.0"
    assert cassette["sha256"] == sha256(stand_in.read_bytes()).hexdigest()
    assert cassette["recorded"].endswith("Z")
    assert cassette["test"].endswith("::test_life")

    # Bytes, order, timing, endings.
    assert said(calls["execboth"]) == [
        ("stdout", "out\n"),
        ("stderr", "err\n"),
        ("stdout", "out\n"),
    ]
    assert calls["execboth"]["output"][1]["at"] >= 0.15
    assert calls["execboth"]["exit"] == 3
    assert calls["execdie"]["signal"] == "SIGSEGV"
    assert calls["execcat"]["stdin"] == "in\n"
    assert said(calls["execbytes"]) == [("stdout_bytes", r"b'a\xff\x1bz'")]

    # Names for what changes, the same for the same.
    assert "hunter22" not in path.read_text(encoding="utf-8")
    assert said(calls["createbox"]) == [("stdout", "Created machine: box in <HOME>\n")]
    assert calls["execenv"]["argv"][5] == "TOKEN=<SECRET:1>"
    assert said(calls["execenv"]) == [("stdout", "<SECRET:1> and <SECRET:1> <\\HOME>\n")]
    assert ("stdout", "Machine 'box' running (PID: <PID:1>)\n") in said(calls["startbox"])
    assert said(calls["statusbox"]) == [("stdout", '{"pid": <PID:2>, "created_at": <TIME:1>}\n')]

    # Files on the host.
    assert calls["cp<TESTS>/test_life0/copy"]["file"] == [
        {"path": "<TESTS>/test_life0/copy", "content": "content\n"}
    ]
    assert calls["cpcopy"]["file"] == [{"path": "copy", "removed": True}]

    replay(pytester).assert_outcomes(passed=1)


def said(call: dict[str, Any]) -> list[tuple[str, str]]:
    return [(key, text) for part in call["output"] for key, text in part.items() if key != "at"]


ONE = """
import subprocess

def test_one(smolvm):
    {body}
"""
CREATE = 'subprocess.run(["smolvm", "machine", "create", "box"])'


@pytest.mark.parametrize(
    ("recorded", "played", "complaint"),
    [
        (
            CREATE,
            'subprocess.run(["smolvm", "machine", "create", "bax", "-e", "K=hunter22"])',
            ["*not recorded; the nearest recording (-) and the call (+):", "*- box", "*+ bax",
             "*K=[*][*][*]", "*recorded, but never called:", "*smolvm machine create box"],
        ),
        (CREATE, "pass", ["*recorded, but never called:", "*smolvm machine create box"]),
        (CREATE, f"{CREATE}; {CREATE}", ["*called after the last recording was played:"]),
        (
            f"{CREATE}; subprocess.run(['smolvm', 'machine', 'start', '--name', 'box'])",
            f"subprocess.run(['smolvm', 'machine', 'start', '--name', 'box']); {CREATE}",
            ["*called too early:*", "*start*", "*recorded for the same machine:*", "*create*"],
        ),
        (
            'subprocess.run(["smolvm", *"machine exec --name b -i -- cat".split()], input=b"a")',
            'subprocess.run(["smolvm", *"machine exec --name b -i -- cat".split()], input=b"b")',
            ["*got another stdin than was recorded:*"],
        ),
    ],
)  # fmt: skip
def test_replay_is_strict(
    pytester: pytest.Pytester, record: Any, recorded: str, played: str, complaint: list[str]
) -> None:
    record(ONE.format(body=recorded))
    result = replay(pytester, ONE.format(body=played))
    assert result.ret == 1
    result.stdout.fnmatch_lines(complaint)
    result.stdout.no_fnmatch_line("*hunter22*")


def test_order_is_free_between_machines(pytester: pytest.Pytester, record: Any) -> None:
    body = (
        "[subprocess.run(['smolvm', 'machine', 'start', '--name', name]) for name in ({})];"
        "subprocess.run(['smolvm', '--version'])"
    )
    record(ONE.format(body=body.format("'a', 'b', 'a'")))
    replay(pytester, ONE.format(body=body.format("'b', 'a', 'a'"))).assert_outcomes(passed=1)


def test_killed_command_hangs_again_until_it_is_killed(
    pytester: pytest.Pytester, record: Any
) -> None:
    source = """
        import subprocess, time, pytest

        def test_timeout(smolvm):
            start = time.monotonic()
            with pytest.raises(subprocess.TimeoutExpired) as timeout:
                subprocess.run(["smolvm", "machine", "exec", "--name", "b", "--", "sleep"],
                               timeout=1, stdout=subprocess.PIPE)
            assert timeout.value.stdout == b"so far\\n"
            assert time.monotonic() - start >= 1
            process = subprocess.Popen(["smolvm", "machine", "exec", "--name", "b", "--", "sleep"],
                                       stdout=subprocess.PIPE)
            assert process.stdout.readline() == b"so far\\n"
            process.terminate()
            assert process.wait() == -15
            process.stdout.close()
        """
    first, second = record(source)["call"]
    assert (first["killed"], "exit" in first) == ("SIGKILL", False)
    assert second["killed"] == "SIGTERM"
    replay(pytester).assert_outcomes(passed=1)


def test_several_processes_at_once(pytester: pytest.Pytester, record: Any) -> None:
    source = """
        import asyncio, subprocess
        from concurrent.futures import ThreadPoolExecutor

        def test_many(smolvm):
            def start(number):
                argv = ["smolvm", "machine", "start", "--name", f"box{number % 4}"]
                return subprocess.run(argv, capture_output=True).returncode

            with ThreadPoolExecutor(6) as pool:
                assert list(pool.map(start, range(12))) == [0] * 12

            async def status(number):
                process = await asyncio.create_subprocess_exec(
                    "smolvm", "machine", "status", "--name", f"box{number}",
                    stdout=asyncio.subprocess.PIPE)
                await process.communicate()
                return process.returncode

            async def all_of_them():
                return await asyncio.gather(*map(status, range(4)))

            assert asyncio.run(all_of_them()) == [0] * 4
            line = "smolvm machine stop --name box1 && smolvm --version"
            assert subprocess.call(line, shell=True) == 0
        """
    assert len(record(source)["call"]) == 18
    replay(pytester).assert_outcomes(passed=1)


def test_failed_test_leaves_its_cassette_alone(
    pytester: pytest.Pytester, record: Any, stand_in: Path
) -> None:
    before = record(ONE.format(body=CREATE))
    pytester.makepyfile(ONE.format(body=f"{CREATE}; {CREATE}; assert False"))
    pytester.runpytest(
        "--smolvm=real", f"--smolvm-binary={stand_in}", "--smolvm-record=rewrite"
    ).assert_outcomes(failed=1)
    (path,) = pytester.path.glob("cassettes/*/*.toml")
    assert tomllib.loads(path.read_text(encoding="utf-8")) == before


def test_nothing_is_recorded_unless_asked(pytester: pytest.Pytester, stand_in: Path) -> None:
    pytester.makepyfile(ONE.format(body=CREATE))
    pytester.runpytest("--smolvm=real", f"--smolvm-binary={stand_in}").assert_outcomes(passed=1)
    assert not (pytester.path / "cassettes").exists()


def test_recorded_on_the_fake_is_no_truth(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(ONE.format(body="subprocess.run(['smolvm', 'machine', 'ls'])"))
    pytester.runpytest("--smolvm-record=rewrite").assert_outcomes(passed=1)
    (path,) = pytester.path.glob("cassettes/*/*.toml")
    assert tomllib.loads(path.read_text(encoding="utf-8"))["source"] == "fake"
    result = replay(pytester)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*was recorded on the fake, so it proves nothing*"])


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "*there is no cassette *: record one with*"),
        ("format = 1\n", "*is not a cassette*"),
        ("[[", "*is not a cassette*"),
        (
            'format = 2\ntest = ""\nsource = "real"\nversion = ""\nsha256 = ""\nrecorded = ""\n',
            "*has format 2, not 1*",
        ),
    ],
)
def test_cassette_that_cannot_be_played(
    pytester: pytest.Pytester, content: str | None, complaint: str
) -> None:
    pytester.makepyfile(test_it=ONE.format(body="pass"))
    if content is not None:
        path = pytester.mkdir("cassettes") / "test_it" / "test_one.toml"
        path.parent.mkdir()
        path.write_text(content, encoding="utf-8")
    result = replay(pytester)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([complaint])


def test_replay_records_nothing(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest("--smolvm=replay", "--smolvm-record=rewrite")
    assert result.ret == pytest.ExitCode.USAGE_ERROR


def test_each_test_has_a_cassette_of_its_own(pytester: pytest.Pytester, stand_in: Path) -> None:
    pytester.makepyfile(
        test_many="""
        import pytest

        class TestBox:
            @pytest.mark.parametrize("name", ["a/b", "a:b", "a-b", "e", "x" * 300])
            def test_create(self, smolvm, name):
                smolvm.run("machine", "create", name)
        """
    )
    args = ("--smolvm=real", f"--smolvm-binary={stand_in}", "--smolvm-record=rewrite", "-n2")
    pytester.runpytest(*args).assert_outcomes(passed=5)
    names = {path.name for path in pytester.path.glob("cassettes/test_many/*")}
    assert len(names) == 5
    assert names > {"TestBox.test_create-a-b.toml", "TestBox.test_create-e.toml"}
    pytester.runpytest("--smolvm=replay", "-n2").assert_outcomes(passed=5)


def test_cassette_of_an_old_name_is_played_by_its_test_and_recorded_under_a_new_one(
    pytester: pytest.Pytester, stand_in: Path
) -> None:
    pytester.makepyfile(
        test_old="""
        import pytest

        @pytest.mark.parametrize("name", ["a/b", "a-b"])
        def test_create(smolvm, name):
            smolvm.run("machine", "create", name)
        """
    )
    record = ("--smolvm=real", f"--smolvm-binary={stand_in}", "--smolvm-record=rewrite")
    pytester.runpytest(*record, "-k", "a/b").assert_outcomes(passed=1)
    (path,) = pytester.path.glob("cassettes/test_old/*")
    old = path.with_name("test_create-a-b.toml")
    path.rename(old)
    replay(pytester).assert_outcomes(passed=1, errors=1)
    result = pytester.runpytest("--smolvm=replay", "-k", "a-b")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["*is the recording of test_create[[]a/b], not of test_create[[]a-b]*"]
    )
    pytester.runpytest(*record).assert_outcomes(passed=2)
    assert sorted(old.parent.iterdir()) == sorted([old, path])
    replay(pytester).assert_outcomes(passed=2)


def test_tests_that_differ_in_capitals_alone(pytester: pytest.Pytester, stand_in: Path) -> None:
    pytester.makepyfile(
        test_case="""
        def test_a(smolvm):
            smolvm.run("machine", "create", "a")

        def test_A(smolvm):
            smolvm.run("machine", "create", "A")

        def test_B(smolvm):
            pass
        """
    )
    record = ("--smolvm=real", f"--smolvm-binary={stand_in}", "--smolvm-record=rewrite")
    pytester.runpytest(*record).assert_outcomes(passed=3)
    names = {path.name.lower() for path in pytester.path.glob("cassettes/test_case/*")}
    assert len(names) == 3
    assert "test_b.toml" in names
    replay(pytester).assert_outcomes(passed=3)


@pytest.mark.parametrize("content", ["as recorded", "damaged"])
def test_recording_of_the_fake_never_replaces_one_of_the_real_smolvm(
    pytester: pytest.Pytester, record: Any, content: str
) -> None:
    record(ONE.format(body=CREATE))
    (path,) = pytester.path.glob("cassettes/*/*.toml")
    if content == "damaged":
        path.write_text("[[", encoding="utf-8")
    before = path.read_bytes()
    result = pytester.runpytest("--smolvm-record=rewrite")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["*holds what the real smolvm said, *: add --smolvm=real, or leave out --smolvm-record=*"]
    )
    assert path.read_bytes() == before


def test_where_no_cassette_can_be_is_said_before_the_test_runs(
    pytester: pytest.Pytester, stand_in: Path
) -> None:
    pytester.makepyfile(ONE.format(body="raise SystemExit('ran')"))
    pytester.makefile("", cassettes="a file")
    result = pytester.runpytest(
        "--smolvm=real", f"--smolvm-binary={stand_in}", "--smolvm-record=rewrite"
    )
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*could not be written: */cassettes is no folder that can be *"])


def test_refusal_is_shown_when_the_test_failed_of_it(
    pytester: pytest.Pytester, record: Any
) -> None:
    record(ONE.format(body=CREATE))
    body = 'smolvm.run("machine", "create", "bax").check_returncode()'
    result = replay(pytester, ONE.format(body=body))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*- smolvm replay -*", "not recorded; the nearest recording*", "  - box", "  + bax"]
    )


LEFT = """
import pytest

def test_one(smolvm):
    {one}

def test_two(smolvm):
    pass

@pytest.mark.skip
def test_skipped(smolvm):
    pass
"""
SECTION = "*= smolvm: cassettes that no test plays =*"


@pytest.mark.parametrize("workers", [(), ("-n1",)])
def test_cassette_that_no_test_plays_fails_a_replay(
    pytester: pytest.Pytester, stand_in: Path, workers: tuple[str, ...]
) -> None:
    pytester.makepyfile(test_it=LEFT.format(one="pass").replace("@pytest.mark.skip", ""))
    pytester.makepyfile(test_gone="def test_it(smolvm): pass")
    pytester.runpytest(
        "--smolvm=real", f"--smolvm-binary={stand_in}", "--smolvm-record=rewrite"
    ).assert_outcomes(passed=4)
    pytester.makepyfile(test_it=LEFT.format(one="pass"))
    assert pytester.runpytest("--smolvm=replay", *workers).ret == 0

    (pytester.path / "test_gone.py").unlink()
    pytester.makepyfile(test_it=LEFT.format(one="pass").replace("two(smolvm)", "two()"))
    result = pytester.runpytest("--smolvm=replay", *workers)
    result.assert_outcomes(passed=2, skipped=1)
    assert result.ret == 1
    gone, two = "cassettes/test_gone/test_it.toml", "cassettes/test_it/test_two.toml"
    result.stdout.fnmatch_lines([SECTION, gone, two, "remove them, or *`unused: reason`*"])

    pytester.makeini("[pytest]\nsmolvm_allows = unused: kept for the other branch\n")
    result = pytester.runpytest("--smolvm=replay", *workers)
    assert result.ret == 0
    result.stdout.no_fnmatch_line(SECTION)


@pytest.mark.parametrize("args", [("-k", "one"), ("test_it.py::test_one",), ("--lf",), ("-x",)])
def test_nothing_is_said_of_tests_that_were_not_asked_for(
    pytester: pytest.Pytester, stand_in: Path, args: tuple[str, ...]
) -> None:
    pytester.makepyfile(test_it=LEFT.format(one="pass"))
    pytester.runpytest(
        "--smolvm=real", f"--smolvm-binary={stand_in}", "--smolvm-record=rewrite"
    ).assert_outcomes(passed=2, skipped=1)
    pytester.makepyfile(test_it=LEFT.format(one="assert 0"))
    result = pytester.runpytest("--smolvm=replay", *args)
    assert result.parseoutcomes()["failed"] == 1
    result.stdout.no_fnmatch_line(SECTION)
