"""What can be asked of the fake itself: `python -m fake_smolvm`."""

from __future__ import annotations

import argparse
import os
import sys
import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str]) -> int:
    """Do what `argv` (without the program's name) asks for; return the exit code."""
    try:
        return _main(argv)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        where = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
        print(f"fake_smolvm: {where}{error.strerror}", file=sys.stderr)
    return 1


def _main(argv: Sequence[str]) -> int:
    # What follows `--` is smolvm's, and no business of argparse.
    at = argv.index("--") if "--" in argv else len(argv)
    own, line = argv[:at], argv[at + 1 :]
    parser = argparse.ArgumentParser(prog="python -m fake_smolvm")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    verbs.add_parser("demo", help="live a machine's whole life, showing each command")
    installing = verbs.add_parser("install", help="put the fake into a directory, named smolvm")
    installing.add_argument("directory", metavar="DIR")
    checking = verbs.add_parser(
        "check",
        help="tell which versions of smolvm accept a command line; nothing is run",
        usage="python -m fake_smolvm check [-h] [--cli VERSION,...] -- ARGUMENT...",
    )
    checking.add_argument("--cli", metavar="VERSION,...", help="default: all that are known")
    asked = parser.parse_args(own)
    if asked.verb == "demo":
        from fake_smolvm import demo

        return demo.run()
    if asked.verb == "install":
        from fake_smolvm.install import install

        print(install(asked.directory))
        return 0
    if at == len(argv):
        checking.error("the command line to check stands after --")
    return _check(line, asked.cli)


def _check(line: Sequence[str], versions: str | None) -> int:
    from fake_smolvm.compatibility import check

    try:
        verdicts = check(line, None if versions is None else versions.split(","))
    except LookupError as error:
        print(error.args[0], file=sys.stderr)
        return 2
    for verdict in verdicts:
        print(f"{verdict.version}: {'accepted' if verdict.accepted else 'refused'}")
        print(textwrap.indent(verdict.reason, "    "), end="")
    return int(not all(verdict.accepted for verdict in verdicts))


if __name__ == "__main__":
    # A path that is not UTF-8 goes out as it came in, whatever the locale.
    sys.stdout.reconfigure(errors="surrogateescape")  # type: ignore[union-attr]
    sys.exit(main(sys.argv[1:]))
