"""Scenario files, and what a fault does: what makes no sense is told before anything happens."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from support.fake import run_here

from fake_smolvm.fastjson import dumps_line
from fake_smolvm.scenarios import ScenarioError
from fake_smolvm.scenarios.guest_commands import provided
from fake_smolvm.scenarios.scenario import load, names

if TYPE_CHECKING:
    from pathlib import Path


def smolvm(home: Path, scenario: str, *argv: str) -> tuple[int, str, str]:
    env = {"HOME": str(home), "FAKE_SMOLVM_SCENARIO": scenario}
    return run_here(env, *argv).text


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("fault = 5", "a scenario: fault is 5, not a list of tables"),
        ("fault = [5]", "a scenario: fault is [5], not a list of tables"),
        ("fautl = []", "a scenario has no 'fautl', only fault, guest"),
        (
            "[[fault]]\ncommand = 'machine strt'",
            "smolvm has no command 'machine strt', only _boot-vm",
        ),
        ("[[fault]]\ncommand = 'vm start'", "smolvm has no command 'vm start', only"),
        ("[[fault]]\ncommand = 'machine'\nexit = 256", "exit is 256, not an exit code, 0 to 255"),
        ("[[fault]]\ncommand = 'machine'\nexit = true", "exit is True, not an exit code"),
        ("[[fault]]\ncommand = 'machine'\ntimes = -1", "times is -1, not a whole number"),
        ("[[fault]]\ncommand = 'machine'\ndelay_seconds = nan", "delay_seconds is nan"),
        ("[[fault]]\ncommand = 'machine'\ndelay_seconds = inf", "delay_seconds is inf"),
        ("[[fault]]\ncommand = 'machine'\nstream = 1", "stream is 1, not true or false"),
        ("[[fault]]\ncommand = 'machine'\nenv = {A = 1}", "env is {'A': 1}, not a table of texts"),
        (
            "[[fault]]\ncommand = 'machine'\nenv = {FAKE_SMOLVM_KMV = '0'}",
            "no command is moved by FAKE_SMOLVM_KMV, only by FAKE_SMOLVM_BOOT_SECONDS",
        ),
        ("[[guest]]\ncommand = ['x']\nprefix = ['x']", "either a command or a prefix"),
        ("[[guest]]\ncommand = []", "at least one word"),
        ("[[guest]]\ncommand = 'x'", "command is 'x', not a list of texts"),
        ("[[guest]]\ncommand = ['x']\nstdout = 5", "stdout is 5, not a text"),
        ("[[guest]]\ncommand = ['x']\nexti = 5", "a guest command has no 'exti', only socket"),
        ("[[guest]]\nsocket = '/s'\nexit = 1", "has nothing else"),
        (f"x = {'9' * 5000}", "4300 digits"),
        (f"x = {'[' * 100_000}", "nested too deeply"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "s.toml"
    path.write_text(text)
    code, out, err = smolvm(tmp_path / "home", str(path), "machine", "ls")
    assert (code, out) == (2, "")
    assert err.startswith(f"fake_smolvm: FAKE_SMOLVM_SCENARIO: {path}: ")
    assert complaint in err
    assert err.count("\n") == 1
    assert not (tmp_path / "home").exists()


def test_a_name_that_is_none_lists_those_that_are(tmp_path: Path) -> None:
    code, _, err = smolvm(tmp_path, "no-kmv", "machine", "ls")
    assert code == 2
    assert f"no scenario is called 'no-kmv', only {', '.join(names())}; a file's path" in err
    for path, reason in ((f"{tmp_path}/none.toml", "No such file"), (f"{tmp_path}/", "not a file")):
        code, _, err = smolvm(tmp_path, path, "machine", "ls")
        assert code == 2
        assert err.startswith(f"fake_smolvm: FAKE_SMOLVM_SCENARIO: {path}: {reason}")


def test_a_fault_may_say_json_and_names_two_things(tmp_path: Path) -> None:
    said = '{"machine": "{machine}", "in": "{folder}", "odd": "{", "{foo}": 1}'
    path = tmp_path / "s.toml"
    path.write_text(f"[[fault]]\ncommand = 'machine status'\nexit = 5\nstdout = '''{said}'''\n")
    code, out, err = smolvm(tmp_path, str(path), "machine", "status", "--name", "box")
    assert (code, err) == (5, "")
    assert json.loads(out) == {"machine": "box", "in": str(tmp_path), "odd": "{", "{foo}": 1}


def test_a_fault_is_about_a_command_of_the_version_at_hand(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text("[[fault]]\ncommand = 'machine fork'\nexit = 5\n")
    assert load(str(path)).faults, "another version has it"
    assert "has no command 'machine fork'" in smolvm(tmp_path, str(path), "machine", "ls")[2]


def test_an_exit_code_that_no_process_has_is_refused() -> None:
    with pytest.raises(ScenarioError, match="exit is 256, not an exit code, 0 to 255"):
        provided(command=["x"], exit=256)


def test_nobody_at_the_socket_is_told_as_such(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text(f"[[guest]]\nsocket = '{tmp_path}/gone'\n")
    for line in ("machine create box", "machine start --name box"):
        assert smolvm(tmp_path, str(path), *line.split())[0] == 0
    code, out, err = smolvm(
        tmp_path, str(path), "machine", "exec", "--name", "box", "--", "mine", "x"
    )
    assert (code, out) == (2, "")
    assert f"the guest command mine got no answer from {tmp_path}/gone: " in err


@pytest.mark.parametrize(
    "text", ["a\u2028b", "a\x85b", "a\nb", "\x0b\x0c\x1c\x1d\x1e", "\udcff", "é😀"]
)
def test_a_line_of_a_journal_is_one_line_to_any_reader(text: str) -> None:
    line = dumps_line({text: [text]})
    assert len(line.decode().splitlines()) == 1
    assert json.loads(line) == {text: [text]}
