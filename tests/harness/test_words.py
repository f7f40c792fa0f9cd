"""Whatever a test names is checked where it is named, and the message has the valid words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from fake_smolvm import SmolvmFixture

pytestmark = pytest.mark.smolvm_allows("unused", reason="nothing of it is ever set up")

START = "machine start"


@pytest.mark.parametrize(
    ("method", "arguments", "error", "message"),
    [
        ("fault", ["machine strt"], ValueError, "0.8.0; did you mean 'machine start'[?] There"),
        ("fault", ["mashine"], ValueError, "did you mean 'machine'[?]"),
        ("fault", ["smolvm machine start"], ValueError, "did you mean 'machine start'[?]"),
        ("fault", ["machine start box"], ValueError, "did you mean 'machine start'[?]"),
        ("fault", [""], ValueError, "'' is no command"),
        ("fault", ["help"], ValueError, "'help' is no command"),
        ("fault", [["machine", "start"]], TypeError, "command is a text, not"),
        ("fault", [None], TypeError, "command is a text, not None"),
        ("fault", [START, {"rc": 256}], ValueError, "rc is a whole number, from 0 to 255, not 256"),
        ("fault", [START, {"rc": -9}], ValueError, "rc is a whole number, from 0 to 255, not -9"),
        ("fault", [START, {"rc": "1"}], TypeError, "rc is a whole number, from 0 to 255, not '1'"),
        ("fault", [START, {"rc": True}], TypeError, "rc is a whole number"),
        ("fault", [START, {"stderr": b"x"}], TypeError, "stderr is a text, not b'x'"),
        ("fault", [START, {"stdout": 3}], TypeError, "stdout is a text, not 3"),
        ("fault", [START, {"skip": -1}], ValueError, "skip is a whole number, 0 or more, not -1"),
        ("fault", [START, {"times": 0}], ValueError, "times is a whole number, 1 or more, not 0"),
        ("fault", [START, {"times": 1.5}], TypeError, "times is a whole number, 1 or more"),
        ("fault", [START, {"machine": "bad name!"}], ValueError, "is no name of a machine: "),
        ("fault", [START, {"machine": 3}], TypeError, "machine is a text, not 3"),
        ("delay", [-1], ValueError, "seconds is a number, 0 or more, not -1"),
        ("delay", [math.nan], ValueError, "seconds is a number, 0 or more, not nan"),
        ("delay", [math.inf], ValueError, "seconds is a number, 0 or more, not inf"),
        ("delay", ["machine start"], TypeError, "seconds is a number, 0 or more, not 'machine"),
        ("delay", [1, "machine strt"], ValueError, "did you mean 'machine start'[?]"),
        ("hang", ["machine strt"], ValueError, "did you mean 'machine start'[?]"),
        ("hang", [{"skip": -1}], ValueError, "skip is a whole number"),
        ("disk_full", ["machine cpp"], ValueError, "mean 'machine cp'[?] There are: machine cp, "),
        ("disk_full", ["machine ls"], ValueError, "'machine ls' is no command that this can"),
        ("kill_machine", ["-box"], ValueError, "'-box' is no name of a machine"),
        ("kill_machine", [{"times": 0}], ValueError, "times is a whole number, 1 or more"),
        ("scenario", ["no-kmv"], FileNotFoundError, "mean 'no-kvm'[?] There are: .*, or the path"),
        ("scenario", ["./no.toml"], FileNotFoundError, "there is no such file"),
        ("scenario", [3], TypeError, "not int"),
        ("guest_command", [], ValueError, "either a command or a prefix, or is a call"),
        ("guest_command", ["make", {"prefix": ["make"]}], ValueError, "either a command or"),
        ("guest_command", [{"call": print, "prefix": ["make"]}], ValueError, "either a command"),
        ("guest_command", [{"prefix": "make"}], TypeError, "prefix is a list of texts"),
        ("guest_command", [3], TypeError, "a word of a guest command is a text, not 3"),
        ("guest_command", [["make"]], TypeError, "a word of a guest command is a text"),
        ("guest_command", [{"call": 3}], TypeError, "call is a function of argv, env, workdir"),
        ("guest_command", [{"call": print, "exit": 3}], ValueError, "a call answers itself"),
        ("guest_command", ["make", {"exit": 300}], ValueError, "exit is a whole number, from 0"),
        ("guest_command", ["make", {"stdout": 3}], TypeError, "stdout is a text, or bytes, not 3"),
        ("outside_host", ["a.example"], ValueError, "the host 'a.example' needs an address"),
        ("outside_host", ["a.example", "300.1.1.1"], ValueError, "'300.1.1.1' is no IP address"),
        ("outside_host", ["a.example", ["192.0.2.7"]], TypeError, "an address is a text"),
        ("outside_host", ["http://a.example", "192.0.2.7"], ValueError, "is no name of a host"),
        ("outside_answer", ["a.example"], ValueError, "'a.example' is no URL: it begins with"),
        ("outside_answer", ["http://a.example", {"status": 0}], ValueError, "status is a whole"),
        ("outside_answer", ["http://a.example", {"body": b""}], TypeError, "body is a text"),
        ("machine", ["bad name!"], ValueError, "is no name of a machine: machine name contains"),
        ("machine", [3], TypeError, "machine is a text, not 3"),
    ],
)  # fmt: skip
def test_a_word_that_is_none(
    either: SmolvmFixture,
    method: str,
    arguments: list[Any],
    error: type[Exception],
    message: str,
) -> None:
    named = arguments.pop() if arguments and isinstance(arguments[-1], dict) else {}
    with pytest.raises(error, match=message):
        getattr(either, method)(*arguments, **named)
    arguments += [named] if named else []
    assert either.unmet() == []
    assert either.run("machine", "ls").returncode == 0


def test_a_command_of_another_version(either: SmolvmFixture) -> None:
    assert either.version == "0.8.0"
    with pytest.raises(ValueError, match=r"is no command of smolvm 0\.8\.0"):
        either.fault("machine images prune")


@pytest.mark.parametrize("alias", ["vm start", "machine start", " machine  start "])
def test_aliases_are_the_command_itself(either: SmolvmFixture, alias: str) -> None:
    either.fault(alias, rc=7)
    assert either.run("machine", "start", "--name", "box").returncode == 7


def test_a_file_that_names_no_command(either: SmolvmFixture, tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text('[[fault]]\ncommand = "machine strt"\n', encoding="utf-8")
    with pytest.raises(ValueError, match=r"s.toml: 'machine strt' is no command .* did you mean"):
        either.scenario(str(path))


def test_braces_that_mean_nothing(either: SmolvmFixture) -> None:
    either.fault("machine status", rc=0, stdout='{"name": "{machine}", "a": {}}')
    done = either.run("machine", "status", "--name", "box", "--json")
    assert done.stdout == '{"name": "box", "a": {}}'


@pytest.mark.parametrize(
    ("ini", "complaint"),
    [
        ("smolvm = reel", "ini smolvm: smolvm mode 'reel' is none of fake, real, auto, replay"),
        ("smolvm_cli = 0.8", "ini smolvm_cli: '0.8' is no *; did you mean '0.8.0'[?] *, 1.4.0"),
        ("smolvm_home = keeps", "ini smolvm_home: 'keeps' is no home; did you mean 'keep'[?]*"),
        ("smolvm_cli_versions = 0.8.0 7.7.7", "ini smolvm_cli_versions: '7.7.7' is no smolvm *"),
        ("smolvm_allows = H99: why not", "ini smolvm_allows: 'H99' is no hazard*"),
        ("smolvm_allows = Leak: why not", "ini smolvm_allows: *did you mean 'leak'[?]*"),
        ("smolvm_allows = H3", "ini smolvm_allows: 'H3' is not of the form `H3: reason`"),
    ],
)  # fmt: skip
def test_an_ini_file_that_names_none(pytester: pytest.Pytester, ini: str, complaint: str) -> None:
    pytester.makeini(f"[pytest]\n{ini}\n")
    pytester.makepyfile("def test_it(): pass")
    result = pytester.runpytest()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {complaint}"])


@pytest.mark.parametrize(
    ("variable", "value", "complaint"),
    [
        ("PYTEST_SMOLVM", "reel", "$PYTEST_SMOLVM: smolvm mode 'reel' is none of *"),
        ("FAKE_SMOLVM_VERSION", "9.9", "$FAKE_SMOLVM_VERSION: '9.9' is no smolvm version *"),
    ],
)
def test_a_variable_that_names_none(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    complaint: str,
) -> None:
    monkeypatch.setenv(variable, value)
    pytester.makepyfile("def test_it(): pass")
    result = pytester.runpytest()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {complaint}"])


@pytest.mark.parametrize("word", ["machine exce", "mashine", "pack lst"])
def test_a_filter_for_no_command(either: SmolvmFixture, word: str) -> None:
    either.run("machine", "ls")
    either.run("machine", "creat")
    with pytest.raises(ValueError, match=f"'{word}' is no command of smolvm 0.8.0; did you mean"):
        either.calls.filter(word)
    assert len(either.calls.filter("machine creat")) == 1
    either.calls.filter("machine delete").assert_not_called()
