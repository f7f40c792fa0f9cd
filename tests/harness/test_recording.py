"""What a recording keeps besides calls, and when there is none: said, and the old one stays."""

from __future__ import annotations

import shutil
import tomllib
from typing import TYPE_CHECKING, Any

import pytest

from fake_smolvm.harness.cassettes import compiling, left_behind
from fake_smolvm.harness.cassettes.host_files import note_own_folders
from fake_smolvm.harness.seen.reading import read

if TYPE_CHECKING:
    from pathlib import Path

STAND_IN = """\
#!/bin/sh
case "$*" in
  --version) echo "smolvm 0.8.0";;
  "machine ls --json") cat "$HOME/ls" 2>/dev/null || echo "[]";;
  "machine status --name "*) printf '{"state": "running", "pid": %s, "in": "%s"}' $$ "$HOME";;
  "machine start --name "*) echo '[{"name": "box", "state": "running"}]' > "$HOME/ls"
    echo "Machine running (PID: $$)";;
  "machine delete "*) rm -f "$HOME/ls";;
  "machine cp box:/missing "*) echo "error: no such file" >&2; exit 1;;
  "machine cp "*:*) printf 'content\\n' > "$4";;
  *" -- sh -c "*) for script; do :; done; sh -c "$script";;
  *" -- pieces") printf "first hunter22-\\303"; sleep .2; printf "\\251 last";;
  *" -- json") cat; printf '"b\\\\"q"';;
  *" -- sleep") echo so far; exec sleep 60;;
  *" -- flood") exec dd if=/dev/zero bs=1024 count=20000 2>/dev/null;;
esac
"""


@pytest.fixture
def binary(tmp_path: Path) -> Path:
    path = tmp_path / "real" / "smolvm"
    path.parent.mkdir()
    path.write_text(STAND_IN, encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.fixture
def record(pytester: pytest.Pytester, binary: Path) -> Any:
    """Run tests on the stand-in, and record them."""

    def record(source: str = "", *args: str) -> pytest.RunResult:
        if source:
            pytester.makepyfile(test_it=source)
        return pytester.runpytest(
            "--smolvm=real", f"--smolvm-binary={binary}", "--smolvm-record=rewrite", *args
        )

    return record


def replay(pytester: pytest.Pytester, *args: str) -> pytest.RunResult:
    return pytester.runpytest("--smolvm=replay", *args)


def cassette(pytester: pytest.Pytester) -> dict[str, Any]:
    (path,) = pytester.path.glob("cassettes/*/*.toml")
    return tomllib.loads(path.read_text(encoding="utf-8"))


PORTABLE = {
    "the project": "vm.run('machine', 'create', 'box', '-v', f'{HERE}/src:/src')",
    "a download by the wrapper": """
        Smolvm().machine_cp("box:/file", str(tmp / "copy"))
        assert (tmp / "copy").read_text() == "content\\n"
    """,
    "a download by a script with the wrapper": """
        code = f"from smolvm_wrapper import Smolvm; Smolvm().machine_cp('box:/f', '{tmp}/copy')"
        subprocess.run([sys.executable, "-c", code], check=True)
        assert (tmp / "copy").read_text() == "content\\n"
    """,
    "a temporary folder with prefix and suffix": """
        with tempfile.TemporaryDirectory(prefix="build-", suffix="-x") as folder:
            vm.run("machine", "cp", "box:/file", f"{folder}/file")
            assert pathlib.Path(folder, "file").read_text() == "content\\n"
    """,
    "a temporary file elsewhere": """
        name = tempfile.mktemp(dir=tmp)
        vm.run("machine", "cp", "box:/file", name)
    """,
    "a temporary folder of a script": """
        folder = tempfile.gettempdir()
        script = f'd=$(mktemp -d {folder}/tmpXXXXXXXX | tr A-Z a-z); smolvm machine ls "$d"'
        subprocess.run(["sh", "-c", script])
    """,
    "a uuid": "vm.run('machine', 'create', f'job-{uuid.uuid4()}')",
    "its digits": "vm.run('machine', 'create', f'job-{uuid.uuid4().hex}')",
    "eight of them": "vm.run('machine', 'create', f'job-{uuid.uuid4().hex[:8]}')",
    "its last ones": "vm.run('machine', 'create', f'job-{str(uuid.uuid4())[-12:].upper()}')",
    "a uuid of the module": "vm.run('machine', 'create', f'job-{OF_THE_MODULE}')",
    "a token": "vm.run('machine', 'create', f'job-{secrets.token_hex(4)}')",
    "a uuid of a script": """
        code = "import uuid, subprocess as s; s.run(['smolvm', 'machine', 'ls', str(uuid.uuid4())])"
        subprocess.run([sys.executable, "-c", code], check=True)
    """,
    "a value of its own": """
        run = str(time.monotonic_ns())
        vm.name_value("RUN", run)
        vm.run("machine", "create", f"job-{run}", "-e", f"RUN={run}")
    """,
    "a repeated tmp_path": """
        (tmp.parent / "another").mkdir(exist_ok=True)
        vm.run("machine", "cp", "box:/file", str(tmp / "file"))
        assert (tmp / "file").exists()
    """,
}
IMPORTS = """\
import pathlib, secrets, subprocess, sys, tempfile, time, uuid
from smolvm_wrapper import Smolvm
HERE = pathlib.Path(__file__).parent
OF_THE_MODULE = uuid.uuid4().hex[:8]
"""


@pytest.mark.parametrize("body", PORTABLE.values(), ids=PORTABLE)
def test_replays_in_another_checkout_and_another_temporary_folder(
    pytester: pytest.Pytester,
    record: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    body: str,
) -> None:
    if "\n" not in body:
        body = f"\n        {body}"
    source = (
        f"{IMPORTS}\ndef test_one(smolvm, tmp_path):\n        vm, tmp = smolvm, tmp_path{body}\n"
    )
    record(source).assert_outcomes(passed=1)
    written = cassette(pytester)
    replay(pytester).assert_outcomes(passed=1)

    other = tmp_path / "other checkout"
    shutil.copytree(pytester.path, other)
    temporary = tmp_path / "other-tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.chdir(other)
    # A `tmp_path` of another number, as the second attempt of a test has it.
    (temporary / "base" / "test_one0").mkdir(parents=True)
    pytester.runpytest("--smolvm=replay", f"--rootdir={other}", str(other)).assert_outcomes(
        passed=1
    )

    # Recorded again, nothing changes but the date.
    record("").assert_outcomes(passed=1)
    assert {**cassette(pytester), "recorded": ""} == {**written, "recorded": ""}


@pytest.mark.parametrize(
    ("body", "other"),
    [
        ("vm.run('machine', 'ls', 'job-1a2b3c4d')", "vm.run('machine', 'ls', 'job-1a2b3c4e')"),
        ("vm.run('machine', 'ls', '/tmp/aconstant')", "vm.run('machine', 'ls', '/tmp/aartifact')"),
        ("vm.run('machine', 'ls', f'a-{uuid.uuid4().hex[:8]}')", "vm.run('machine', 'ls', 'a-no')"),
        (
            "u = uuid.uuid4().hex; vm.run('machine', 'ls', u); vm.run('machine', 'ls', u)",
            "for _ in 'ab': vm.run('machine', 'ls', uuid.uuid4().hex)",
        ),
        (
            "for _ in 'ab': vm.run('machine', 'ls', uuid.uuid4().hex)",
            "u = uuid.uuid4().hex; vm.run('machine', 'ls', u); vm.run('machine', 'ls', u)",
        ),
        (
            "for s in 'xx': vm.run('machine', 'exec', '-e', f'A={s}', '--', 'id')",
            "for s in 'xy': vm.run('machine', 'exec', '-e', f'A={s}', '--', 'id')",
        ),
    ],
)  # fmt: skip
def test_what_is_no_name_must_be_the_same(
    pytester: pytest.Pytester, record: Any, body: str, other: str
) -> None:
    source = IMPORTS + "def test_one(smolvm):\n    vm = smolvm\n    "
    record(source + body).assert_outcomes(passed=1)
    pytester.makepyfile(test_it=source + other)
    result = replay(pytester)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["not recorded; the nearest recording*"])


def test_name_without_a_value_in_this_run(pytester: pytest.Pytester, record: Any) -> None:
    source = "def test_one(smolvm):\n    {}\n    smolvm.run('machine', 'create', 'job-17')"
    record(source.format("smolvm.name_value('RUN', '17')")).assert_outcomes(passed=1)
    assert cassette(pytester)["call"][0]["argv"] == ["machine", "create", "job-<RUN>"]
    pytester.makepyfile(test_it=source.format("pass"))
    replay(pytester).stdout.fnmatch_lines(["<RUN> has no value in this run: smolvm.name_value(*"])


MOUNTS = """
import subprocess

def test_mount(smolvm, tmp_path):
    (tmp_path / "old").write_text("old")
    (tmp_path / "same").write_text("same")
    smolvm.run("machine", "create", "box", "-v", f"{tmp_path}:/out", cwd=tmp_path)
    (tmp_path / "out").mkdir()
    script = "cd out && mkdir d && echo built > d/prog && chmod +x d/prog && rm ../old"
    smolvm.run("machine", "exec", "--name", "box", "--", "sh", "-c", script, cwd=tmp_path)
    assert subprocess.run([tmp_path / "out/d/prog"], shell=True).returncode == 127
    assert (tmp_path / "out/d/prog").read_text() == "built\\n"
    assert not (tmp_path / "old").exists()
    assert (tmp_path / "same").read_text() == "same"
"""


def test_what_a_guest_writes_into_a_mounted_folder_is_written_again(
    pytester: pytest.Pytester, record: Any
) -> None:
    record(MOUNTS).assert_outcomes(passed=1)
    created, executed = cassette(pytester)["call"]
    assert "file" not in created
    at = "<TESTS>/test_mount0"
    assert executed["file"] == [
        {"path": f"{at}/out/d", "folder": True},
        {"path": f"{at}/out/d/prog", "content": "built\n", "executable": True},
        {"path": f"{at}/old", "removed": True},
    ]
    replay(pytester).assert_outcomes(passed=1)


def test_what_a_killed_call_has_written_is_written_again(
    pytester: pytest.Pytester, record: Any
) -> None:
    source = """
        import subprocess

        def test_one(smolvm, tmp_path):
            (tmp_path / "m").mkdir()
            smolvm.run("machine", "create", "box", "-v", "m:/out", cwd=tmp_path)
            argv = ["smolvm", "machine", "exec", "--name", "box", "--", "sh", "-c"]
            script = "echo half > half; echo on; exec sleep 60"
            child = subprocess.Popen([*argv, script], cwd=tmp_path / "m", stdout=subprocess.PIPE)
            with child:
                assert child.stdout.readline() == b"on\\n"
                child.kill()
            subprocess.run([*argv, "echo later > later"], cwd=tmp_path / "m")
            assert {path.name for path in (tmp_path / "m").iterdir()} == {"half", "later"}
        """
    record(source).assert_outcomes(passed=1)
    _, killed, later = cassette(pytester)["call"]
    assert [file["path"] for file in killed["file"]] == ["<TESTS>/test_one0/m/half"]
    assert [file["path"] for file in later["file"]] == ["<TESTS>/test_one0/m/later"]
    replay(pytester).assert_outcomes(passed=1)


def test_cassette_that_goes_away_is_said(pytester: pytest.Pytester, record: Any) -> None:
    source = "def test_one(smolvm):\n    {}\n    smolvm.run('machine', 'ls')"
    record(source.format("pass")).assert_outcomes(passed=1)
    pytester.makepyfile(test_it=source.format("__import__('shutil').rmtree('cassettes')"))
    result = replay(pytester)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["there is no cassette *: record one with *"])
    result.stdout.no_fnmatch_line("*Traceback*")


ONE_EXEC = """
def test_one(smolvm, tmp_path):
    (tmp_path / "m").mkdir()
    smolvm.run("machine", "create", "box", "-v", "m:/out", cwd=tmp_path)
    smolvm.run("machine", "exec", "--name", "box", "--", "sh", "-c", "{}", cwd=tmp_path / "m")
"""


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("ln -s /etc/passwd link", "the guest made */link, which is neither a file nor a folder"),
        ("i=0; while [ $i -le 200 ]; do : > $i; i=$((i+1)); done", "one call changed 201 files *"),
    ],
)  # fmt: skip
def test_what_cannot_be_written_again_is_not_recorded(
    pytester: pytest.Pytester, record: Any, script: str, why: str
) -> None:
    result = record(ONE_EXEC.format(script))
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["not recorded, as a replay would lack something*", f"  {why}"])
    assert not list(pytester.path.glob("cassettes/*/*"))


def test_read_only_mount_is_not_watched_and_one_too_large_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(left_behind, "MOST_WATCHED", 3)
    mounted = tmp_path / "m"
    mounted.mkdir()
    for name in "abcd":
        (mounted / name).touch()
    for spec, said in ((f"{mounted}:/m:ro", []), (f"{mounted}:/m", ["unkept"])):
        notes: list[str] = []
        sandbox = tmp_path / f"sandbox{len(said)}"
        sandbox.mkdir()
        note_own_folders(str(sandbox), [str(tmp_path)])
        watch = left_behind.Watch.begin(
            str(sandbox), read(["machine", "create", "b", "-v", spec]), str(tmp_path)
        )
        watch.note(lambda kind, *_, to=notes: to.append(kind))
        assert notes == said


LOOKS = """
import pytest

@pytest.mark.smolvm_allows("leak", reason="the stand-in keeps none")
def test_one(smolvm):
    assert smolvm.machines == {{}}
    assert not smolvm.machine("box").exists
    with pytest.raises(LookupError, match="there is no machine 'box'"):
        smolvm.machine("box").state
    smolvm.run("machine", "start", "--name", "box")
    while smolvm.machine("box").state != "running":
        pass
    assert smolvm.machine("box").status["state"] == "running"
    assert smolvm.machine("box").status["in"] == str(smolvm.home)
    assert smolvm.machine("box").read_text("/file") == "content\\n"
    with pytest.raises(OSError, match="no such file"):
        smolvm.machine("box").read_bytes("/missing")
    {}
    smolvm.run("machine", "delete", "-f", "box")
    assert not smolvm.machine("box").exists
"""


def test_what_the_test_saw_of_machines_is_seen_again(
    pytester: pytest.Pytester, record: Any
) -> None:
    record(LOOKS.format("")).assert_outcomes(passed=1)
    replay(pytester).assert_outcomes(passed=1)
    written = cassette(pytester)
    assert [look["asked"][0] for look in written["look"]] == [
        "states", "states", "status", "status", "read_bytes", "read_bytes", "states"
    ]  # fmt: skip
    assert '"pid": <PID:' in written["look"][2]["answer"]
    record(LOOKS.format("")).assert_outcomes(passed=1)
    pytester.makepyfile(test_it=LOOKS.format("smolvm.machine('box').read_text('/other')"))
    result = replay(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*did not ask for read_bytes box /other after 1 calls then*"])


def test_reach_is_refused_in_words(pytester: pytest.Pytester, record: Any) -> None:
    source = "def test_one(smolvm):\n    {}"
    record(source.format("smolvm.run('machine', 'ls', '--json')")).assert_outcomes(passed=1)
    pytester.makepyfile(test_it=source.format("smolvm.machine('b').reach('x')"))
    replay(pytester).stdout.fnmatch_lines(["*a replay has no machines to look at, only calls*"])


def test_secret_in_two_pieces_in_stdin_and_in_json_is_named(
    pytester: pytest.Pytester, record: Any
) -> None:
    source = """
        SECRET = "hunter22-\u00e9"

        def test_one(smolvm):
            argv = ["machine", "exec", "--name", "box", "-i", "-e", f"A={SECRET}", "-e", 'B=b"q']
            assert smolvm.run(*argv, "--", "json", input=SECRET).stdout == SECRET + '"b\\\\"q"'
            said = smolvm.run("machine", "exec", "--name", "box", "--", "pieces").stdout
            assert said == f"first {SECRET} last"
        """
    record(source).assert_outcomes(passed=1)
    (path,) = pytester.path.glob("cassettes/*/*.toml")
    text = path.read_text(encoding="utf-8")
    assert not [word for word in ("hunter22", "\u00e9", "xe9", "xc3", "q") if word in text[300:]]
    first, second = cassette(pytester)["call"]
    assert "".join(part["stdout"] for part in second["output"]) == "first <SECRET:1> last"
    assert (first["stdin"], first["stdin_ended"]) == ("<SECRET:1>", True)
    assert first["output"][0]["stdout"] == '<SECRET:1>"<SECRET_JSON:2>"'
    replay(pytester).assert_outcomes(passed=1)


def test_more_stdin_than_was_recorded_is_another(pytester: pytest.Pytester, record: Any) -> None:
    source = (
        "def test_one(smolvm):\n"
        "    smolvm.run(*'machine exec --name b -i -- sh -c cat'.split(), input={!r})"
    )
    record(source.format("")).assert_outcomes(passed=1)
    replay(pytester).assert_outcomes(passed=1)
    pytester.makepyfile(test_it=source.format("more"))
    replay(pytester).stdout.fnmatch_lines(["got another stdin than was recorded:"])


INCOMPLETE = {
    "killed at once": (
        (
            "smolvm.binary.write_text('#!/bin/sh\\nexec sleep 60');"
            " p = subprocess.Popen(['smolvm', 'machine', 'ls']); p.kill(); p.wait()"
        ),
        "a call was killed before it could be noted*",
    ),
    "killed before Python is up": (
        (
            "smolvm.binary.with_name('.recorder').write_text('#!/bin/sh\\nexec sleep 60');"
            " subprocess.run(['sh', '-c', 'smolvm machine ls & while ! ls $0/rec* | grep -q called;"
            " do :; done; kill -9 $!; wait', str(smolvm.home.parent)])"
        ),
        "a call was killed before it could be noted*",
    ),
    "more than can be kept": (
        "subprocess.run(['smolvm', 'machine', 'exec', '--', 'flood'], stdout=subprocess.DEVNULL)",
        "the call read or wrote more than the 16 MB that are recorded",
    ),
    "no binary any more": (
        (
            "done = subprocess.run(['sh', '-c', f'mv {B} {B}.a; smolvm machine ls; mv {B}.a {B}'],"
            " stderr=subprocess.PIPE, text=True);"
            " assert 'cannot be started: No such file or directory' in done.stderr;"
            " assert 'Traceback' not in done.stderr"
        ),
        "*could not be started: No such file or directory",
    ),
    "a limit on files": (
        (
            "done = subprocess.run(['sh', '-c', 'ulimit -f 64;smolvm machine exec -- flood|wc -c'],"
            " stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True);"
            " assert (int(done.stdout), done.stderr) == (20480000, '')"
        ),
        "a call could not be noted in *: no room, or a limit on files",
    ),
    "outside of its folders": (
        "smolvm.run('machine', 'cp', 'box:/file', str(B) + '.copy')",
        "*.copy is in none of the test's own folders (*have it written to tmp_path",
    ),
}


@pytest.mark.parametrize(("body", "why"), INCOMPLETE.values(), ids=INCOMPLETE)
def test_a_recording_that_is_not_whole_is_none(  # noqa: PLR0917
    pytester: pytest.Pytester,
    record: Any,
    binary: Path,
    monkeypatch: pytest.MonkeyPatch,
    body: str,
    why: str,
) -> None:
    monkeypatch.setattr(compiling, "_PATIENCE_SECONDS", 0.5)
    head = f"import subprocess\nB = {str(binary)!r}\n"
    head += "def test_one(smolvm):\n    smolvm.run('machine', 'ls')\n    "
    record(head + "pass").assert_outcomes(passed=1)
    before = cassette(pytester)
    result = record(head + body)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["not recorded, as a replay would lack something*", f"  {why}"])
    result.stdout.no_fnmatch_line("*INTERNALERROR*")
    assert cassette(pytester) == before


def test_a_call_that_is_still_running_at_the_end_is_not_recorded(
    pytester: pytest.Pytester, record: Any
) -> None:
    source = """
        import subprocess

        def test_one(smolvm):
            smolvm.run("machine", "ls")
            if {}:
                argv = ["smolvm", "machine", "exec", "--", "sleep"]
                subprocess.Popen(argv, stdout=subprocess.PIPE).stdout.readline()
        """
    record(source.format("False")).assert_outcomes(passed=1)
    before = cassette(pytester)
    result = record(source.format("True"), "-W", "ignore")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["process: still running when the test was over, and killed:"])
    assert cassette(pytester) == before


def test_closed_streams_and_a_reader_that_goes_away(pytester: pytest.Pytester, record: Any) -> None:
    source = """
        import subprocess

        def test_one(smolvm):
            said = "smolvm machine exec -- sh -c 'echo out; echo err >&2; exit 3'"
            assert subprocess.call(["sh", "-c", said + " <&- >&- 2>&-"]) == 3
            script = "smolvm machine exec -- sh -c 'seq 100000; exit 0' | head -n 1"
            assert subprocess.check_output(["sh", "-c", script]) == b"1\\n"
        """
    record(source).assert_outcomes(passed=1)
    first = cassette(pytester)["call"][0]
    assert sorted(key for part in first["output"] for key in part) == [
        "at",
        "at",
        "stderr",
        "stdout",
    ]
    replay(pytester).assert_outcomes(passed=1)
