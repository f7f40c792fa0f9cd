"""Cassette files: read as strictly as they are written, and played only where they may."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from fake_smolvm.harness.cassettes import file_names
from fake_smolvm.harness.cassettes.cassette import Cassette, CassetteError
from fake_smolvm.harness.cassettes.recorded import Look, Output, RecordedCall, WrittenFile

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """\
format = 1
test = "x"
source = "real"
version = "0.8.0"
sha256 = "0"
recorded = "2024-01-01T00:00:00Z"
"""
CALL = '[[call]]\nargv = ["machine", "ls"]\nstarted = 0.0\n'
ENDED = CALL + "exit = 0\n"
DAMAGED = {
    "": "the head has no format",
    HEAD.replace("test =", "best ="): "the head has no test",
    HEAD.replace('"0.8.0"', "8"): "version of the head is not a text: 8",
    HEAD.replace("0.8.0", "a.b"): "version = 'a.b' is no version*",
    HEAD.replace('"real"', '"dream"'): "source = 'dream' is neither real nor fake",
    HEAD + "a b\n": "*at line 7, column 3*",
    HEAD + "more = 1": "the head has 'more', which is none of format, *",
    HEAD + "call = 3": "call of the head is not a list of tables: 3",
    HEAD + "call = [3]": "call of the head is not a list of tables",
    HEAD + "x = " + "[" * 5000: "it is nested too deeply",
    HEAD + CALL.replace('["machine", "ls"]', "5"): "argv of call 1 is not a list of texts: 5",
    HEAD + CALL.replace('"ls"', "5"): "argv of call 1 is not a list of texts:*",
    HEAD + CALL.replace('"ls"', '"\\u0000"'): "argv of call 1 holds what no command line can*",
    HEAD + CALL.replace("argv", "argw"): "call 1 has no argv",
    HEAD + CALL.replace("0.0", "-1"): "started of call 1 is no time that a call can take: -1",
    HEAD + CALL.replace("0.0", "nan"): "started of call 1 is no time that a call can take: nan",
    HEAD + CALL.replace("0.0", "1e99"): "started of call 1 is no time*",
    HEAD + CALL.replace("0.0", '"x"'): "started of call 1 is not a number of seconds: x",
    HEAD + CALL: "call 1 has no end: neither exit nor signal nor killed",
    HEAD + CALL + 'exit = "x"': "exit of call 1 is not a whole number: x",
    HEAD + CALL + "exit = true": "exit of call 1 is not a whole number: True",
    HEAD + CALL + "exit = 256": "exit of call 1 is not from 0 to 255: 256",
    HEAD + CALL + "exit = 99999999999999999999": "exit of call 1 is not from 0 to 255: 9*",
    HEAD + CALL + 'signal = "SIGNONE"': "signal of call 1: there is no signal 'SIGNONE' here",
    HEAD + ENDED + 'signal = "SIGTERM"': "call 1 has two ends: signal, and exit or killed",
    HEAD + ENDED + "output = 3": "output of call 1 is not a list of tables: 3",
    HEAD + ENDED + "said = 3": "call 1 has 'said', which is none of argv, started, *",
    HEAD + ENDED + "stdin = 3": "stdin of call 1 is not a text: 3",
    HEAD + ENDED + "stdin_bytes = 'x'": "call 1 has bytes that are not written as Python does: x",
    HEAD + ENDED + 'stdin_bytes = "' + "(" * 9999 + '"': "*bytes that are not written as Python*",
    HEAD + ENDED + r"""stdin_bytes = "b'\\x9'" """: "call 1 has bytes that Python does not read*",
    HEAD + ENDED + "[[call.output]]\nat = 1": "output 1 of call 1 is to have at, and stdout or*",
    HEAD + ENDED + "[[call.output]]\nat = 1\nstdout = 1": "stdout of output 1 of call 1 is not a*",
    HEAD + ENDED + "[[call.file]]\npath = ''": "file 1 of call 1 has no path",
    HEAD + ENDED + "[[call.file]]\npath = 'x'": "file 1 of call 1 is to have one of content, *",
    HEAD + ENDED + "[[call.file]]\npath = 'x'\nsize = 1": "file 1 of call 1 is to have one of*",
    HEAD + "[[look]]\nafter = 1": "look 1 is to have after, asked, and answer or failed",
}


@pytest.mark.parametrize(("text", "why"), DAMAGED.items(), ids=range(len(DAMAGED)))
def test_what_is_wrong_is_one_sentence_with_the_path(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "x.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CassetteError) as error:
        Cassette.load(path)
    said = str(error.value)
    assert "\n" not in said
    lines = pytest.LineMatcher([said])
    lines.fnmatch_lines([f"{path} is not a cassette, or is damaged ({why}): record one with *"])


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda path: path.write_bytes(b"\xff"), "is not a cassette, *can't decode byte 0xff*"),
        (lambda path: path.mkdir(), "cannot be read: Is a directory"),
        (lambda path: path.symlink_to(path), "cannot be read: *symbolic links"),
        (lambda path: path.parent.rmdir() or path.parent.touch(), "cannot be read: Not a *"),
    ],
)  # fmt: skip
def test_what_is_no_file_to_read(tmp_path: Path, make: Any, why: str) -> None:
    path = tmp_path / "folder" / "x.toml"
    path.parent.mkdir()
    make(path)
    with pytest.raises(CassetteError) as error:
        Cassette.load(path)
    pytest.LineMatcher([str(error.value)]).fnmatch_lines([f"{path} {why}"])


WHOLE = Cassette(
    "t::x", "real", "0.8.0", "0", "now",
    calls=[
        RecordedCall(["a", "\udcff"], 0.5, 1.0, 3, None, "SIGTERM", "in\udcff", stdin_ended=True),
        RecordedCall(
            ["ls"], signal="SIGSEGV", output=[Output(0.1, "stderr", '"""\r\n')],
            files=[
                WrittenFile("a", "x", executable=True), WrittenFile("b", None),
                WrittenFile("c", None, 5, "12"), WrittenFile("d", None, folder=True),
            ],
        ),
    ],
    looks=[Look(1, ["states"], "{}"), Look(2, ["status", "b"], failed="LookupError: none")],
    names=["RUN"],
)  # fmt: skip


def test_all_there_is_survives_a_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "x.toml"
    WHOLE.dump(path)
    assert Cassette.load(path) == WHOLE
    assert [entry.name for entry in path.parent.iterdir()] == ["x.toml"]


@pytest.mark.parametrize("broken", ["write", "fsync", "replace"])
def test_old_cassette_survives_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    path = tmp_path / "x.toml"
    WHOLE.dump(path)

    def no_room(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patches:
        patches.setattr(*{
            "write": ("builtins.open", no_room),
            "fsync": ("os.fsync", no_room),
            "replace": ("pathlib.Path.replace", no_room),
        }[broken])  # fmt: skip
        with pytest.raises(CassetteError, match="cannot be written: No space left on device; what"):
            Cassette("t", "real", "0.8.0", "1", "later", []).dump(path)
    assert Cassette.load(path) == WHOLE
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.toml"]


# --- played only where they may ---

DOWNLOAD = """
import os, pathlib, subprocess
HERE = pathlib.Path(__file__).parent

def test_x(smolvm, tmp_path):
    os.symlink({victim!r}, tmp_path / "link")
    os.symlink({victim!r} + "-dir", tmp_path / "dir")
    os.mkfifo(tmp_path / "fifo")
    os.link({victim!r}, tmp_path / "hard")
    smolvm.run("machine", "create", "box", "-v", f"{{tmp_path}}:/out")
    done = smolvm.run("machine", "cp", "box:/x", {target}, cwd=tmp_path)
    assert done.returncode in (0, 70), done
"""
OWN = "'out'"
OUTSIDE = "*{victim} is in none of the test's own folders*"
ANOTHERS = "*which is no file of smolvm machine cp box:/x out"
UP = "../../../../../../../../../.."
ESCAPES = {
    "not its own": (OWN, "{victim}", ANOTHERS),
    "its own, outside": ("{victim!r}", "{victim}", OUTSIDE),
    "its own, by ..": ("'" + UP + "' + {victim!r}", None, OUTSIDE),
    "its own, by a link": ("'link'", None, "*/link is in none of the test's own folders*"),
    "its own, by a folder": ("'dir/x'", None, "*/dir/x is in none of the test's own folders*"),
    "its own, by a hard link": ("'hard'", None, "*/hard has another name on this host*"),
    "a fifo": ("'fifo'", None, "*/fifo is there already, and is no regular file"),
    "a device": ("'/dev/null'", None, "/dev/null is in none of the test's own folders*"),
    "mounted, by ..": (OWN, "<TESTS>/test_x0/" + UP + "{victim}", ANOTHERS),
    "mounted, by a link": (OWN, "<TESTS>/test_x0/dir/x", ANOTHERS),
}


@pytest.mark.parametrize("what", ['content = "pwned"', "removed = true", "folder = true"])
@pytest.mark.parametrize(("target", "path", "why"), ESCAPES.values(), ids=ESCAPES)
def test_replay_touches_no_file_that_is_not_its_own(  # noqa: PLR0917
    pytester: pytest.Pytester, tmp_path: Path, target: str, path: str | None, why: str, what: str
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious", encoding="utf-8")
    (tmp_path / "victim-dir").mkdir()
    target = target.format(victim=str(victim))
    recorded = eval(target) if path is None else path.format(victim=victim)  # noqa: S307  our own
    project = pytester.mkdir("project")
    test = project / "test_c.py"
    test.write_text(DOWNLOAD.format(victim=str(victim), target=target), encoding="utf-8")
    calls = ["machine", "create", "box", "-v", "<TESTS>/test_x0:/out"], [
        "machine", "cp", "box:/x", eval(target),  # noqa: S307
    ]  # fmt: skip
    cassette = project / "cassettes" / "test_c" / "test_x.toml"
    cassette.parent.mkdir(parents=True)
    cassette.write_text(
        HEAD
        + "".join(f"[[call]]\nargv = {argv!r}\nstarted = 0\nexit = 0\n" for argv in calls)
        + '[[call.file]]\npath = "good"\ncontent = "x"\n'
        + f'[[call.file]]\npath = "{recorded}"\n{what}\n',
        encoding="utf-8",
    )
    before = sorted(os.listdir(tmp_path))
    args = ("--smolvm=replay", f"--rootdir={project}", f"--basetemp={pytester.path}/base")
    result = pytester.runpytest(*args, str(project))
    result.assert_outcomes(passed=1, errors=1)
    if what.startswith("content"):
        result.stdout.fnmatch_lines([why.format(victim=victim)])
    assert victim.read_text(encoding="utf-8") == "precious"
    assert not list((tmp_path / "victim-dir").iterdir())
    assert sorted(os.listdir(tmp_path)) == before
    assert not list(pytester.path.glob("base/*/good"))


def test_edited_cassette_is_refused_before_the_test_runs(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_c="def test_x(smolvm):\n    raise SystemExit")
    path = pytester.mkdir("cassettes") / "test_c" / "test_x.toml"
    path.parent.mkdir()
    path.write_text(HEAD + ENDED + "[[call.file]]\npath = '/x'\nremoved = true", encoding="utf-8")
    result = pytester.runpytest("--smolvm=replay")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["*is damaged, or was edited: the cassette has /x written or removed, which is no file*"]
    )


# --- names ---

PLAIN = {
    "test_one": "test_one",
    "TestBox::test_one": "TestBox.test_one",
    "test_one[a]": "test_one-a",
    "test_one[-1]": "test_one--1",
    "test_one[a=1,b.c-d]": "test_one-a=1,b.c-d",
}
ODD = [
    "a/b", "a:b", "a b", "a-b-", "-", "", "a[b", "A-b", "a-B", "é", "e\u0301", "a\nb", "a~b", "…",
    "x" * 300, "x" * 301, "a" * 254, "../../etc",
]  # fmt: skip


class Node:
    parent = None
    name = "test_one"


def test_plain_names_are_plain() -> None:
    for name, file in PLAIN.items():
        assert file_names.for_cassette(name, Node(), lambda _: False) == file
        dotted = name.replace("::", ".")
        assert file_names.for_snapshot(dotted, "", Node(), lambda _: False) == dotted
        assert file_names.for_snapshot(dotted, ".1", Node(), lambda _: False) == f"{dotted}.1"
        assert file_names.for_snapshot(dotted, "[x]", Node(), lambda _: False) == f"{dotted}[x]"


@pytest.mark.parametrize("what", ["cassette", "snapshot"])
def test_no_two_tests_share_a_file_on_any_file_system(what: str) -> None:
    names = ["A.b", "A::b", "test_one", *(f"test_one[{odd}]" for odd in [*ODD, "a-b", "a_b"])]
    files = []
    for name in names:
        if what == "cassette":
            files.append(file_names.for_cassette(name, Node(), lambda _: False) + ".toml")
        else:
            files += [
                file_names.for_snapshot(name, index, Node(), lambda _: False) + ".argv"
                for index in ("", ".1", "[a]", "[A]", "[a/b]", f"[{'y' * 300}]")
            ]
    assert len({file.lower() for file in files}) == len(files)
    assert all(file.isascii() and "/" not in file and len(file) <= 255 for file in files)


def test_capitals_alone_keep_the_name_that_they_have() -> None:
    assert file_names.for_cassette("t[A]", Node(), "t-A.toml".__eq__) == "t-A"
    assert file_names.for_cassette("t[A]", Node(), lambda _: False).startswith("t-A~")
