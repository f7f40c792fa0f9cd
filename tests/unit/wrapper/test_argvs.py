"""Every command line the wrapper can build, for each dialect."""

from __future__ import annotations

import inspect
import json
import shlex
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from wrapper_calls import CALLS
from wrapper_clients import described

from fake_smolvm import grammars
from fake_smolvm.compatibility import check
from smolvm_wrapper import Command, CommandBuilder, Guards
from smolvm_wrapper.commands import CommandSet
from smolvm_wrapper.methods import DescribedHandle

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

VERSIONS = ("0.8.0", "1.4.0", "1.32.2")
NO_OPINION = Guards(egress_dropped=False, egress_unenforced=False, ignored_options=False)


def argvs_of(built: Any) -> list[tuple[str, ...]]:
    """Of a command, or of the commands of a plan."""
    return [step.argv for step in ([built] if isinstance(built, Command) else built)]


def argvs(version: str) -> list[tuple[str, ...]]:
    commands = CommandBuilder(version, NO_OPINION)
    return [
        argv
        for name, args, kwargs in CALLS
        if not (name == "machine_resize" and version == "1.32.2")
        for argv in argvs_of(getattr(commands, name)(*args, **kwargs))
    ]


@pytest.mark.parametrize("version", VERSIONS)
def test_snapshot(version: str, snapshot: SnapshotAssertion) -> None:
    assert "\n".join(shlex.join(argv) for argv in argvs(version)) == snapshot


@pytest.mark.parametrize("version", [one for one in VERSIONS if one in grammars.known_versions()])
def test_accepted_by_the_parser_of_that_version(version: str) -> None:
    refused = {
        verdict.reason: argv
        for argv in argvs(version)
        for verdict in check(argv[1:], [version])
        if not verdict.accepted
    }
    assert refused == {}


def test_every_command_and_argument_is_called() -> None:
    wanted = {
        name: set(inspect.signature(member.build).parameters) - {"self", "host_timeout"}
        for name, member in described(CommandSet).items()
        if not isinstance(member, DescribedHandle) and name != "wait_exec_ready"
    }
    called: dict[str, set[str]] = {}
    for name, args, kwargs in CALLS:
        bound = inspect.signature(getattr(CommandBuilder("0.8.0"), name)).bind(*args, **kwargs)
        called.setdefault(name, set()).update(bound.arguments)
    assert called == wanted


def test_every_option_of_every_command_is_used() -> None:
    unused = {("machine ls", "verbose")}  # changes the text only, and we read the JSON
    grammar = json.loads((Path(grammars.__file__).parent / "0.8.0.json").read_text())
    missing = set()
    for path, command in grammar["commands"].items():
        words = path.split()
        if words[0] not in ("machine", "pack", "config") or command.get("subcommand_required"):
            continue
        uses = [argv for argv in argvs("0.8.0") if list(argv[1 : len(words) + 1]) == words]
        missing |= set() if uses else {(path, "")}
        for arg in command.get("args", ()):
            spellings = {f"--{arg.get('long')}", f"-{arg.get('short')}"}
            used = {word.partition("=")[0] for argv in uses for word in argv} & spellings
            if not used and arg["kind"] != "positional":
                missing.add((path, arg["id"]))
    assert missing == unused


@pytest.mark.parametrize("version", VERSIONS)
def test_building_warns_of_nothing_when_the_guards_are_off(version: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        argvs(version)
