"""The fake's command line as a whole: versions, streams, its executable, what it is asked."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import fake_smolvm
from fake_smolvm import entry, fastjson, grammars
from fake_smolvm.__main__ import main as ask
from fake_smolvm.clap.outcome import ParseExit
from fake_smolvm.clap.parser import parse
from fake_smolvm.host import Host
from fake_smolvm.install import install, write_executable


def answer(*argv: str, **env: str) -> tuple[int, str, str]:
    host = Host(env=env, cwd="/", stdin=io.BytesIO(), stdout=io.BytesIO(), stderr=io.BytesIO())
    code = entry.run(argv, host)
    assert isinstance(host.stdout, io.BytesIO)
    assert isinstance(host.stderr, io.BytesIO)
    return code, host.stdout.getvalue().decode(), host.stderr.getvalue().decode()


@pytest.mark.parametrize(
    ("env", "version"), [({}, "0.8.0"), ({"FAKE_SMOLVM_VERSION": "1.4.0"}, "1.4.0")]
)
def test_the_version_is_the_one_asked_for(env: dict[str, str], version: str) -> None:
    assert answer("--version", **env) == (0, f"smolvm {version}\n", "")


@pytest.mark.parametrize("version", ["9.9.9", "../0.8.0", "x", "0.8", "."])
def test_an_unknown_version_is_told_with_the_known_ones(version: str) -> None:
    code, stdout, stderr = answer("--version", FAKE_SMOLVM_VERSION=version)
    assert (code, stdout) == (2, "")
    assert repr(version) in stderr
    assert "0.8.0, 1.4.0" in stderr


@pytest.mark.parametrize("version", grammars.known_versions())
def test_a_grammar_is_whole(version: str) -> None:
    grammar = grammars.load(version)
    assert grammar.version == version
    for path in grammar.paths():
        command = grammar.command(path)
        assert command.about, path
        for arg in command.args:
            assert arg.help or arg.id == "help", (path, arg.id)
            assert {*arg.conflicts_with, *arg.requires, *arg.required_unless} <= {*command.by_id}
            if arg.takes_value and arg.index is None and arg.value_type not in ("path", "string"):
                with pytest.raises(ParseExit):
                    parse(grammar, [*path, f"--{arg.long}= "], entry.VALUE_PARSERS)


@pytest.mark.parametrize(
    ("runtime_dir", "socket"),
    [
        (None, "/tmp/smolvm.sock"),  # noqa: S108
        ("relative", "/tmp/smolvm.sock"),  # noqa: S108
        ("/run/user/1", "/run/user/1/smolvm.sock"),
        ("/run/", "/run/smolvm.sock"),
        ("/r\udcff", "/r\ufffd/smolvm.sock"),
    ],
)
def test_the_socket_is_in_the_runtime_directory(runtime_dir: str | None, socket: str) -> None:
    env = {} if runtime_dir is None else {"XDG_RUNTIME_DIR": runtime_dir}
    matches = parse(grammars.load("0.8.0", env), ["serve", "start"], entry.VALUE_PARSERS)
    assert matches["listen"] == f"unix://{socket}"


def test_check_tells_for_each_version_whether_and_why_not() -> None:
    old, new = fake_smolvm.check(["machine", "create", "x"])
    assert (old.version, old.accepted, old.reason) == ("0.8.0", True, "")
    assert (new.version, new.accepted) == ("1.4.0", False)
    assert new.reason.startswith("error: unexpected argument 'x' found\n")


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (["check", "--cli", "0.8.0", "--", "machine", "create", "x"], 0),
        (["check", "--", "machine", "create", "x"], 1),
        (["check", "--", "machine", "exec", "--", "--", "x"], 0),
        (["check", "--", "--help"], 0),
        (["check", "--cli", "7.7.7", "--", "machine", "ls"], 2),
    ],
)
def test_check_starts_nothing_and_says_so_by_its_exit_code(
    asked: list[str], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert ask(asked) == code
    assert not list(tmp_path.iterdir())


def test_check_needs_a_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        ask(["check"])
    assert "after --" in capsys.readouterr().err


def run(
    executable: Path, *argv: str | bytes, stdout: int = subprocess.PIPE
) -> subprocess.CompletedProcess[bytes]:
    env = {"PATH": os.environ["PATH"], "HOME": str(executable.parent)}
    return subprocess.run(
        [executable, *argv], env=env, stdout=stdout, stderr=subprocess.PIPE, check=False
    )


def test_an_installed_fake_runs_from_anywhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(["install", str(tmp_path / "new" / "bin")]) == 0
    executable = Path(capsys.readouterr().out.strip())
    assert executable == tmp_path / "new" / "bin" / "smolvm"
    assert run(executable, "--version").stdout == b"smolvm 0.8.0\n"


@pytest.mark.parametrize("name", ["py thon", "p" * 150, "it's"])
def test_an_interpreter_that_no_shebang_can_name_will_do(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interpreter = tmp_path / name
    interpreter.symlink_to(os.path.realpath(sys.executable))
    monkeypatch.setattr(sys, "executable", str(interpreter))
    executable = tmp_path / "tool"
    write_executable(executable, "print(sys.argv[1:])\n")
    assert run(executable, "a b", "'\"\n").stdout == b"['a b', '\\'\"\\n']\n"


def test_no_command_line_makes_a_traceback(tmp_path: Path) -> None:
    smolvm = install(tmp_path)
    lines: list[list[str | bytes]] = [
        [b"\xff"],
        [b"--\xff"],
        [b"-\xff"],
        ["machine", "exec", b"--name=\xff", "x"],
        ["machine", b"\xc3"],
        [""],
        ["x" * 100_000],
        ["machine", "exec", *["--env", "a=b"] * 5000, "--bogus"],
    ]
    for line in lines:
        done = run(smolvm, *line)
        assert done.returncode == 2
        assert done.stderr.startswith(b"error: ")


def test_nobody_reading_is_no_traceback(tmp_path: Path) -> None:
    smolvm = install(tmp_path)
    reader, writer = os.pipe()
    os.close(reader)
    done = run(smolvm, "--help", stdout=writer)
    os.close(writer)
    assert done.stderr == b""


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
def test_a_closed_stream_is_an_empty_one(closed: str, tmp_path: Path) -> None:
    smolvm = install(tmp_path)
    done = subprocess.run(
        ["sh", "-c", f'"$0" machine exec --bogus {closed}', smolvm],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr


DOCUMENTS = [
    None,
    True,
    0,
    -5,
    1.5,
    'a"\\\n\x01é日',
    [],
    {},
    [1, [2, {}], {"a": []}],
    {"a": {"b": [None, False]}, "é": ""},
]


@pytest.mark.parametrize("value", DOCUMENTS, ids=ascii)
def test_json_is_written_and_read_as_the_standard_library_does(value: object) -> None:
    compact = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    pretty = json.dumps(value, ensure_ascii=False, indent=2)
    assert fastjson.dumps(value) == compact
    assert fastjson.dumps(value, indent=2) == pretty
    assert fastjson.loads(f" \n{pretty}\n") == value


@pytest.mark.parametrize("text", ["", "{", "[1,]", "1 2", "nul", "{'a': 1}"])
def test_what_is_no_json_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - there is no text to match
        fastjson.loads(text)


@pytest.mark.parametrize("what", ["a program", "a link to one", "a link to nothing", "a folder"])
def test_what_is_not_the_fake_is_never_replaced_by_it(
    what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "smolvm"
    real = tmp_path / "real"
    real.write_text("#!/bin/sh\n")
    match what:
        case "a program":
            place.write_text("#!/bin/sh\n")
        case "a link to one":
            place.symlink_to(real)
        case "a link to nothing":
            place.symlink_to(tmp_path / "none")
        case "a folder":
            place.mkdir()
    before = place.lstat()
    assert ask(["install", str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == f"fake_smolvm: {place}: this is not the fake, and stays: remove it first\n"
    assert (place.lstat().st_ino, place.lstat().st_mode) == (before.st_ino, before.st_mode)
    assert real.read_text() == "#!/bin/sh\n"


def test_an_earlier_fake_is_replaced(tmp_path: Path) -> None:
    assert ask(["install", str(tmp_path)]) == 0
    first = (tmp_path / "smolvm").stat().st_ino
    assert ask(["install", str(tmp_path)]) == 0
    assert (tmp_path / "smolvm").stat().st_ino != first
    assert [file.name for file in tmp_path.iterdir()] == ["smolvm"]


def test_where_nothing_can_be_installed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file/below"):
        assert ask(["install", str(folder)]) == 1
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.startswith(f"fake_smolvm: {tmp_path / 'file'}")
        assert said.err.count("\n") == 1


def test_a_path_that_is_not_utf_8_goes_out_as_it_came_in(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/\xff"
    done = subprocess.run(
        [sys.executable, "-m", "fake_smolvm", "install", folder],
        env={**os.environ, "PYTHONIOENCODING": "utf-8:strict"},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, folder + b"/smolvm\n", b"")
