"""What versions do otherwise, beside what their grammars say of the same."""

from __future__ import annotations

import pytest

from fake_smolvm import entry, grammars, versions
from fake_smolvm.clap.outcome import ParseExit
from fake_smolvm.clap.parser import parse


def accepts(version: str, *argv: str) -> bool:
    try:
        parse(grammars.load(version), argv, entry.VALUE_PARSERS)
    except ParseExit:
        return False
    return True


@pytest.mark.parametrize("version", grammars.known_versions())
@pytest.mark.parametrize("command", ["create", "delete", "update"])
def test_how_a_machine_is_named_is_what_the_grammar_takes(version: str, command: str) -> None:
    as_option = versions.says(version, "names_are_options")
    assert accepts(version, "machine", command, "--name", "box") is as_option
    assert accepts(version, "machine", command, "box") is not as_option


@pytest.mark.parametrize(
    ("version", "since", "before", "within"),
    [
        ("1.0.2", "1.0.2", None, True),
        ("1.0.1", "1.0.2", None, False),
        ("1.10.0", "1.9.1", None, True),
        ("0.8.0", None, "0.8.1", True),
        ("0.8.1", None, "0.8.1", False),
        ("1.4.0", "0.8.0", "1.8.0", True),
        ("1.4.0", None, None, True),
    ],
)
def test_versions_compare_by_their_numbers(
    version: str,
    since: str | None,
    before: str | None,
    within: bool,
) -> None:
    assert versions.is_within(version, since, before) is within


def test_a_difference_that_nobody_knows_is_an_error() -> None:
    with pytest.raises(KeyError, match="nope"):
        versions.says("0.8.0", "nope")
