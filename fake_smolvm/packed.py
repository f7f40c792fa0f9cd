"""What a packed program does: `pack create` writes programs that hand over to this module.

As the real one's, such a program is smolvm itself, which finds its artifact beside it or inside it;
without one it reads smolvm's own command line.
"""

from __future__ import annotations

import os
import sys

from fake_smolvm import entry, fastjson
from fake_smolvm.clap.grammar import Grammar
from fake_smolvm.clap.outcome import ParseExit
from fake_smolvm.clap.parser import parse
from fake_smolvm.commands import pack_run
from fake_smolvm.errors import CommandError
from fake_smolvm.grammars import DEFAULT_VERSION
from fake_smolvm.machines import artifacts
from fake_smolvm.operations import packed_machines
from fake_smolvm.operations.packed_machines import Packed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from fake_smolvm.clap.outcome import Matches
    from fake_smolvm.host import Host

_GRAMMARS = os.path.join(os.path.dirname(__file__), "grammars", "packed")
_GLOBAL_FLAGS = {"--debug": "debug", "--force-extract": "force_extract"}


def main() -> int:
    """Run the packed program `sys.argv[1]` on the rest of the line; return the exit code."""
    program, *argv = sys.argv[1:]
    return entry.as_process(lambda host: run(program, argv, host))


def run(program: str, argv: Sequence[str], host: Host) -> int:
    """Run a packed program on `argv` (without its name); return the exit code."""
    return entry.guarded(lambda: _run(program, argv, host), host)


def _run(program: str, argv: Sequence[str], host: Host) -> int:
    packed = _find(os.path.join(host.cwd, program), host)
    if packed is None:
        return entry.run(argv, host)
    host.version = packed.manifest.smolvm_version
    flags = set()
    while argv and argv[0] in _GLOBAL_FLAGS:
        flags.add(_GLOBAL_FLAGS[argv[0]])
        argv = argv[1:]
    grammar = _grammar(host.version, os.path.basename(program))
    try:
        matches = parse(grammar, argv, entry.VALUE_PARSERS)
        if not matches.command:
            flags.update(name for name in _GLOBAL_FLAGS.values() if matches[name])
            matches = parse(grammar, ["run"], entry.VALUE_PARSERS)
    except ParseExit as end:
        host.out(end.stdout)
        host.err(end.stderr)
        return end.code
    matches.values.update(dict.fromkeys(flags, True))
    try:
        return _run_command(packed, matches, host)
    except CommandError as error:
        host.err(f"error: {error.message}\n")
        return 1


def _find(program: str, host: Host) -> Packed | None:
    """Find the artifact of a program: beside it, else inside it."""
    sidecar = artifacts.sidecar_of(program)
    for path, inside_program in ((sidecar, False), (program, True)):
        packed = Packed(path, host, debug=False, inside_program=inside_program)
        try:
            packed.footer = artifacts.read_footer(path)
            packed.manifest = artifacts.read_manifest(path)
        except artifacts.ArtifactError:
            continue
        if not inside_program or packed.footer.assets_offset:
            return packed
    return None


def _grammar(version: str, name: str) -> Grammar:
    path = os.path.join(_GRAMMARS, f"{version}.json")
    if not os.path.exists(path):
        path = os.path.join(_GRAMMARS, f"{DEFAULT_VERSION}.json")
    with open(path, encoding="utf-8") as file:
        grammar = Grammar(fastjson.loads(file.read()), {})
    # The program is called what its file is called, which may be what a command is called.
    root = grammar.command(())
    grammar.name = root.name = root.bin_name = name
    return grammar


def _run_command(packed: Packed, matches: Matches, host: Host) -> int:
    packed.debug = matches["debug"]
    match matches.command[0]:
        case "run" if packed.inside_program:
            return packed_machines.run_once(packed, matches)
        case "run":
            return pack_run.run_sidecar(packed.path, matches, host)
        case "start":
            packed_machines.start(packed, matches)
        case "stop":
            packed_machines.stop(packed)
        case "status":
            packed_machines.status(packed)
        case "info":
            host.out(packed.description())
        case _:
            return packed_machines.run_in_started(packed, matches)
    return 0
