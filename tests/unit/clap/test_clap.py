"""The engine on a program that is not smolvm.

`box_answers.jsonl` is what the program `box.rs`, built with clap 4.6.1 (clap_builder 4.6.0), said;
`box.json` is its grammar, with the same descriptions, so help pages too are the same to the byte.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fake_smolvm.clap.grammar import Grammar
from fake_smolvm.clap.outcome import Matches, ParseExit
from fake_smolvm.clap.parser import parse

HERE = Path(__file__).parent
BOX = Grammar(json.loads((HERE / "box.json").read_text(encoding="utf-8")), {})
ANSWERS = [
    json.loads(line)
    for line in (HERE / "box_answers.jsonl").read_text(encoding="utf-8").splitlines()
]


def read(*argv: str) -> Matches:
    return parse(BOX, argv, {})


def short(answer: dict[str, Any]) -> str:
    return ascii(" ".join(answer["argv"])[:60])


@pytest.mark.parametrize("answer", ANSWERS, ids=short)
def test_what_ends_in_the_parser_is_answered_as_clap_does(answer: dict[str, Any]) -> None:
    with pytest.raises(ParseExit) as ended:
        read(*answer["argv"])
    end = ended.value
    assert (end.code, end.stdout, end.stderr) == (answer["rc"], answer["stdout"], answer["stderr"])


@pytest.mark.parametrize(
    ("argv", "command", "values"),
    [
        ("", (), {"quiet": False, "root": None}),
        ("--root / -q", (), {"quiet": True, "root": "/"}),
        ("unlock a", ("open",), {"name": "a", "size": 3, "color": None, "tag": [], "key": False}),
        ("open a --size=+7 -Cred", ("open",), {"size": 7, "color": "red"}),
        ("open a --offset=-5", ("open",), {"offset": -5}),
        ("open a -t x -ty -t=z --tag=", ("open",), {"tag": ["x", "y", "z", ""]}),
        ("open a --key --lock l -qs2", ("open",), {"key": True, "lock": "l", "quiet": True}),
        ("open -- --size", ("open",), {"name": "--size", "size": 3}),
        ("open -", ("open",), {"name": "-"}),
        ("-q open a", ("open",), {"quiet": True}),
        ("--root x open a", ("open",), {"root": "x", "quiet": False}),
        ("run --name n c --name m -- x", ("run",), {"name": "n", "command": "c --name m -- x"}),
        ("run -- c -- x", ("run",), {"command": "c -- x"}),
        ("run -- -- x", ("run",), {"command": "-- x"}),
        ("fill --all a -- x -- y", ("fill",), {"from": "a", "to": None, "items": "x -- y"}),
        ("fill a b --count 2", ("fill",), {"to": "b", "count": 2, "items": []}),
        ("sort --up", ("sort",), {"up": True, "down": False, "shape": "square"}),
        ("shelf clean --wet -q", ("shelf", "clean"), {"wet": True, "quiet": True}),
    ],
)
def test_an_accepted_line_gives_typed_values(
    argv: str, command: tuple[str, ...], values: dict[str, Any]
) -> None:
    matches = read(*argv.split())
    assert matches.command == command
    for name, value in values.items():
        many = isinstance(matches[name], list) and isinstance(value, str)
        assert matches[name] == (value.split() if many else value)


def test_what_was_given_is_told_from_defaults() -> None:
    assert read("-q", "open", "a", "--size", "3").explicit == {"quiet", "name", "size"}


def test_an_unknown_value_of_matches_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="nope"):
        read("open", "a")["nope"]


def test_bytes_that_are_no_utf_8_reach_paths_only() -> None:
    assert read("open", "a", "--from", "x\udcff")["from"] == "x\udcff"
    with pytest.raises(ParseExit, match="invalid UTF-8"):
        read("open", "x\udcff")


def test_thousands_of_arguments_and_enormous_ones_are_read_quickly() -> None:
    assert read("open", "a", *["-t", "x"] * 20_000)["tag"] == ["x"] * 20_000
    assert len(read("run", *["y"] * 100_000)["command"]) == 100_000
    for enormous in ("--" + "s" * 1_000_000, "o" * 1_000_000, "--color=" + "r" * 1_000_000):
        with pytest.raises(ParseExit):
            read("open", "a", "b", enormous)


def test_a_value_type_of_the_program_is_read_by_its_parser() -> None:
    def even(text: str) -> int:
        if int(text) % 2:
            raise ValueError(f"{text} is odd")
        return int(text)

    arg = {"id": "n", "kind": "option", "long": "n", "value_name": "N", "value_type": "even"}
    grammar = Grammar({"name": "p", "version": "1", "commands": {"p": {"args": [arg]}}}, {})
    assert parse(grammar, ["--n", "2"], {"even": even})["n"] == 2
    with pytest.raises(ParseExit) as ended:
        parse(grammar, ["--n=3"], {"even": even})
    assert ended.value.stderr.startswith("error: invalid value '3' for '--n <N>': 3 is odd\n")


def test_a_default_may_be_filled_in() -> None:
    arg = {"id": "n", "kind": "option", "long": "n", "value_name": "N", "default_template": "{x}!"}
    data = {"name": "p", "version": "1", "commands": {"p": {"args": [arg]}}}
    assert parse(Grammar(data, {"x": "y"}), [], {})["n"] == "y!"


def test_what_clap_has_other_rules_for_is_no_grammar() -> None:
    arg = {"id": "n", "kind": "positional", "value_name": "N"}
    data = {"name": "p", "version": "1", "commands": {"p": {"args": [arg]}, "sub": {}}}
    with pytest.raises(ValueError, match="beside subcommands"):
        parse(Grammar(data, {}), [], {})


def test_only_commands_on_the_way_are_built(monkeypatch: pytest.MonkeyPatch) -> None:
    from fake_smolvm.clap import grammar as module

    built: list[tuple[str, ...]] = []
    original = module.Command.__init__

    def noted(self: Any, grammar: Any, path: tuple[str, ...], *rest: Any) -> None:
        built.append(path)
        original(self, grammar, path, *rest)

    monkeypatch.setattr(module.Command, "__init__", noted)
    fresh = Grammar(json.loads((HERE / "box.json").read_text(encoding="utf-8")), {})
    parse(fresh, ["shelf", "count"], {})
    assert built == [(), ("shelf",), ("shelf", "count")]
