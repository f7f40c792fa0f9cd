"""The programs that are put into bashkit for a script: ours, and those of the test."""

from __future__ import annotations

from fake_smolvm.guest.bashkit.programs.table import SYSTEM, TOOLS, WITH_VOLUMES, later, load
from fake_smolvm.guest.bashkit.quirks import SHELL_WORDS
from fake_smolvm.guest.bashkit.shown import scripted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from fake_smolvm.guest.bashkit.inside import Inside
    from fake_smolvm.guest.bashkit.invocation import Command, Invocation

_NOT_IN_EVERY_GUEST = """
bash git make jq rg yq csv http nano xxd zip unzip tree python python3 sudo template dotenv semver
tomlq openssl json gawk mawk numfmt column parallel log verify assert uuidgen shasum sqlite sqlite3
users b2sum basenc pr retry sha224sum sha384sum
""".split()  # noqa: SIM905
"""What bashkit has and not every guest."""
_LACKS = frozenset(("git", "make"))
"""What bashkit has by name only."""
_HAS = frozenset(
    """
awk basename cat chmod chown cp cut date diff dirname env expr find grep gunzip gzip head install
ls md5sum mkdir mktemp mv od printf python python3 readlink realpath rm rmdir sed sha256sum sleep
sort stat tail tar tee timeout touch tr truncate uniq wc whoami xargs
""".split()  # noqa: SIM905
)
"""What bashkit has for sure; of other commands it is asked."""
_WORDS = {
    number: " " for number in range(128) if not (chr(number).isalnum() or chr(number) in "_.+-[")
}
"""Leaves of a script the words that may be commands."""


def builtins(guest: Inside, script: str) -> Iterator[tuple[str, Command]]:
    """Yield the programs of ours that a script meets, by name; those of the test before all."""
    known = guest.identity.names
    yield from _in_every_script(guest)
    words = set(script.translate(_WORDS).split())
    unsure = (words & known) - SHELL_WORDS - SYSTEM - _HAS
    if unsure:
        from fake_smolvm.guest.bashkit.native import known_commands

        for name in unsure - known_commands() - set(scripted()) | unsure & _LACKS:
            yield name, lacking
    if guest.asks_the_test:
        for name in words - known - SHELL_WORDS:
            yield name, of_the_test


def _in_every_script(guest: Inside) -> Iterator[tuple[str, Command]]:
    known = guest.identity.names
    missing = later("__missing")
    for name in SYSTEM:
        yield name, later(name) if name in known else missing
    if guest.mounts:
        for name in WITH_VOLUMES:
            yield name, later(name)
    yield "__dd", later("dd")
    yield "__not_emulated", lacking
    for name in ("__no_bash", "__command_v", "__type"):
        yield name, later(name)
    for name in _NOT_IN_EVERY_GUEST:
        if name not in known:
            yield name, missing


def lacking(call: Invocation) -> int:
    """Run a program that the guest has, and the test, or one of our tools, provides."""
    if call.argv[0] == "__not_emulated":
        call.argv = call.argv[1:]
    name = call.argv[0]
    from fake_smolvm.guest.bashkit.programs.refusals import not_emulated

    program = load(name) if name in TOOLS else not_emulated
    return of_the_test(call, program) if call.guest.asks_the_test else program(call)


def of_the_test(call: Invocation, otherwise: Command | None = None) -> int:
    """Run a program that the test may provide."""
    stdin = b"".join(iter(lambda: call.read(1 << 16), b""))
    answer = call.guest.ask_the_test(list(call.argv), call.env, call.cwd, stdin)
    if answer is None:
        return (otherwise or load("__missing"))(call)
    code, stdout, stderr = answer
    call.out(stdout)
    call.stderr(stderr)
    return code
