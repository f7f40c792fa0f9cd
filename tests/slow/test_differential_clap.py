"""The living proof of the parser: drawn command lines, said by the fake and by the real 1.4.0.

The real binary is in the `smolmachines` package. Only command lines that end in the parser, or
whose command is harmless, are drawn; each run has a HOME of its own to start from.

The seed is fixed, so every run of the job draws the same lines; CLAP_SEED draws others.
"""

from __future__ import annotations

import difflib
import importlib.metadata
import os
import platform
import shutil
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from fake_smolvm import grammars
from fake_smolvm.clap.outcome import ParseExit
from fake_smolvm.clap.parser import parse
from fake_smolvm.entry import VALUE_PARSERS

sys.path.append(str(Path(__file__).parents[1] / "replay"))
from player import help_structure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fake_smolvm.clap.grammar import Arg, Command

Drawn = TypeVar("Drawn")

VERSION = "1.4.0"
EXAMPLES = 3000
SEED = int(os.environ.get("CLAP_SEED", "0"))
TIMEOUT_SECONDS = 20

GRAMMAR = grammars.load(VERSION)
PATHS = GRAMMAR.paths()
HEADINGS = {"Commands", "Arguments", "Options"} | {
    arg.heading for path in PATHS for arg in GRAMMAR.command(path).args if arg.heading
}
# In a HOME without machines these read and write below it at most, and neither wait nor boot.
HARMLESS = {
    *(("machine", name) for name in ("create", "delete", "update", "resize", "ls", "status")),
    *(("machine", name) for name in ("data-dir", "exec", "stop", "cp", "images", "prune")),
    ("config", "show"),
    ("config", "registries", "path"),
    ("config", "registries", "show"),
}


@dataclass(frozen=True)
class Answer:
    """What a command line is answered; None: it was accepted."""

    exit_code: int
    stdout: str
    stderr: str


def fake_answer(argv: Sequence[str]) -> Answer | None:
    try:
        matches = parse(GRAMMAR, argv, VALUE_PARSERS)
    except ParseExit as end:
        return Answer(end.code, end.stdout, end.stderr)
    assert matches.command in HARMLESS
    return None


def is_answered_safely(argv: Sequence[str]) -> bool:
    try:
        return parse(GRAMMAR, argv, VALUE_PARSERS).command in HARMLESS
    except ParseExit:
        return True


# --- what is drawn -------------------------------------------------------------------------------

LETTERS = st.sampled_from("aehimnorstvxIV019-=:/. é日\n\t\x1b\x7f\udcff")
WORDS = st.one_of(
    st.sampled_from(
        ["", "-", "--", "help", "--help", "-h", "--version", "-V", "x", "-x", "K=V", "--bogus"]
    ),
    st.sampled_from(["machine", "vm", "exec", "rm", "ls", "start", "--name", "--name=x", "-n"]),
    st.text(LETTERS, max_size=6),
    st.text(st.sampled_from("\x1b[]PX^\\m0;?<!\x07\x18\x9c\x9bÜ\x01\r"), max_size=8),
)
NUMBERS = st.one_of(
    st.sampled_from(["", "-", "+", "1.5", "0x1", " 1", "99999999999999999999x"]),
    st.integers(-(2**65), 2**65).map(str),
    st.sampled_from([255, 256, 2**32 - 1, 2**32, 2**64 - 1, 2**64]).map(lambda n: f"+{n}"),
    st.integers(0, 9).map(str),
)
DURATIONS = st.lists(
    st.tuples(
        st.sampled_from(["0", "1", "90", "1.5", "0.25", "1.", ".5", "0.0000000001", str(2**64)]),
        st.sampled_from(["", " ", "\u2003"]),
        st.sampled_from(["s", "ms", "us", "µs", "ns", "m", "h", "d", "w", "M", "y", "", "parsec"]),
        st.sampled_from(["", " "]),
    ).map("".join),
    max_size=3,
).map("".join)
OCTETS = st.sampled_from(["0", "1", "10", "255", "256", "01", ""])
ADDRESSES = st.one_of(
    st.lists(OCTETS, min_size=3, max_size=5).map(".".join),
    st.lists(st.sampled_from(["", "0", "1", "ffff", "10000", "g", "1.2.3.4"]), max_size=9).map(
        ":".join
    ),
)
VALUES = {
    "string": st.sampled_from(["x", "m1", "K=V", ""]),
    "image": st.sampled_from(["alpine", "", " ", "\u3000"]),
    "path": st.sampled_from(["x", "/tmp/x", "", "\udcff"]),  # noqa: S108 - only read
    "duration": DURATIONS,
    "port_mapping": st.lists(
        st.sampled_from(["80", "0", "65535", "65536", "+1", "a", ""]), min_size=1, max_size=3
    ).map(":".join),
    "cidr": st.tuples(ADDRESSES, st.sampled_from(["", "/8", "/08", "/33", "/129", "/"])).map(
        "".join
    ),
    "ipv4": ADDRESSES,
    "gpu_vram_mib": NUMBERS,
    "byte_size": st.tuples(
        st.sampled_from(["", "0", "1", "1.5", ".", "1..2", "9" * 30]),
        st.sampled_from(["", "k", "KiB", "mb", " G", "T", "x", "É"]),
    ).map("".join),
}


GOOD_VALUES = {
    "string": "m1",
    "image": "alpine",
    "path": "some/path",
    "duration": "1h 30m",
    "port_mapping": "8080:80",
    "cidr": "10.0.0.0/8",
    "ipv4": "1.1.1.1",
    "byte_size": "16GiB",
}


def values_of(arg: Arg) -> st.SearchStrategy[str]:
    good = st.sampled_from(list(arg.possible_values) or [GOOD_VALUES.get(arg.value_type, "7")])
    others = misspelt(good) if arg.possible_values else VALUES.get(arg.value_type, NUMBERS)
    return st.one_of(mostly(good, others), mostly(good, WORDS))


def mostly(
    usual: st.SearchStrategy[Drawn], unusual: st.SearchStrategy[Drawn]
) -> st.SearchStrategy[Drawn]:
    """Draw the usual twice in three times."""
    return st.sampled_from([usual, usual, unusual]).flatmap(lambda chosen: chosen)


def misspelt(words: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    def spoil(word: str, at: int, letter: str, kind: int) -> str:
        at %= len(word) + 1
        return word[:at] + letter * (kind < 2) + word[at + (kind > 0) :]

    letters = st.sampled_from("aeinstx-=é")
    return st.builds(spoil, words, st.integers(0, 12), letters, st.integers(0, 2))


def uses_of(arg: Arg) -> st.SearchStrategy[list[str]]:
    """Draw one use of an arg, right or wrong."""
    if arg.index is not None:
        return values_of(arg).map(lambda value: [value])
    shorts = [*([arg.short] if arg.short else []), *arg.visible_short_aliases]
    longs = st.just(f"--{arg.long}")
    names = (
        st.one_of(longs, st.sampled_from([f"-{short}" for short in shorts])) if shorts else longs
    )
    if not arg.takes_value:
        return st.one_of(
            names.map(lambda name: [name]),
            st.builds(lambda name, value: [f"{name}={value}"], names, WORDS),
        )
    values = values_of(arg)
    return st.one_of(
        st.builds(lambda name, value: [name, value], names, values),
        st.builds(lambda name, value: [f"{name}={value}"], names, values),
        st.builds(lambda name, value: [f"{name}{value}"], names, values),
        names.map(lambda name: [name]),
    )


def pieces_of(command: Command) -> st.SearchStrategy[list[str]]:
    own = [uses_of(arg) for arg in command.args if arg.action not in ("help", "version")]
    added = [uses_of(arg) for arg in command.args if arg.action in ("help", "version")]
    longs = [f"--{arg.long}" for arg in command.args if arg.long]
    shorts = [arg.short for arg in command.args if arg.short]
    others = [WORDS.map(lambda word: [word]), *added]
    if longs:
        others.append(misspelt(st.sampled_from(longs)).map(lambda word: [word]))
    if shorts:
        cluster = st.text(st.sampled_from([*shorts, "x", "="]), min_size=1, max_size=4)
        others.append(cluster.map(lambda letters: [f"-{letters}"]))
    return mostly(st.one_of(own or others), st.one_of(others))


def typed_paths(path: tuple[str, ...]) -> st.SearchStrategy[list[str]]:
    """Draw ways to type a command's path: aliases, misspellings, `help` and others in between."""
    names: list[str] = []
    for depth, name in enumerate(path):
        aliases = GRAMMAR.command(path[: depth + 1]).aliases
        names.append(aliases[0] if aliases else name)
    places = st.integers(0, len(path))
    wrong = st.one_of(
        st.builds(lambda at, word: [*path[:at], word, *path[at:]], places, WORDS),
        st.builds(
            lambda at, word: [*path[:at], word, *path[at + 1 :]],
            places,
            misspelt(st.sampled_from(path or ("x",))),
        ),
    )
    return mostly(st.just(list(path)), mostly(st.just(names), wrong))


def is_possible(argv: list[str]) -> bool:
    return not any("\0" in word for word in argv)


def lines_of(path: tuple[str, ...]) -> st.SearchStrategy[list[str]]:
    command = GRAMMAR.command(path)
    needed = st.tuples(*[uses_of(arg) for arg in command.args if arg.required])
    pieces = st.lists(pieces_of(command), max_size=5)
    return st.builds(
        lambda typed, needed, drawn, keeps: [
            *typed,
            *[word for use in (*(needed if keeps else ()), *drawn) for word in use],
        ],
        typed_paths(path),
        needed,
        pieces,
        st.booleans(),
    )


LEAVES = [path for path in PATHS if not GRAMMAR.command(path).subcommands]
COMMAND_LINES = (
    mostly(st.sampled_from(LEAVES), st.sampled_from(PATHS))
    .flatmap(lines_of)
    .filter(is_possible)
    .filter(is_answered_safely)
)


# --- who answers ---------------------------------------------------------------------------------


def real_binary(folder: Path) -> Path:
    """Copy the real smolvm out of its package."""
    try:
        package = importlib.metadata.distribution("smolmachines")
    except importlib.metadata.PackageNotFoundError:
        if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
            pytest.skip("gap: no package with the real smolvm is declared for this platform")
        pytest.fail(f"smolmachines=={VERSION}, which has the real smolvm, is not installed")
    assert package.version == VERSION
    binary = folder / "smolvm"
    shutil.copyfile(str(package.locate_file("smol/smol-vmm")), binary)
    binary.chmod(stat.S_IRWXU)
    return binary


@pytest.fixture(scope="session")
def real_answer(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Sequence[str]], Answer]:
    folder = tmp_path_factory.mktemp("real")
    binary = real_binary(folder)

    def answer(argv: Sequence[str]) -> Answer:
        shutil.rmtree(folder / "home", ignore_errors=True)
        (folder / "home").mkdir()
        done = subprocess.run(
            [binary, *argv],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd=folder / "home",
            env={"HOME": str(folder / "home"), "PATH": os.environ["PATH"]},
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        return Answer(done.returncode, os.fsdecode(done.stdout), os.fsdecode(done.stderr))

    return answer


def comparable(answer: Answer) -> Answer:
    """Give an answer with help pages, whose prose is each one's own, by their structure."""
    return Answer(answer.exit_code, by_structure(answer.stdout), by_structure(answer.stderr))


def by_structure(text: str) -> str:
    if text.startswith("error:") or "\nUsage: " not in f"\n{text}":
        return text
    page = help_structure(text)
    sections = [
        f"{heading}: {rows}" for heading, rows in page["sections"].items() if heading in HEADINGS
    ]
    return "\n".join([*page["usage"], *sections])


def difference(argv: Sequence[str], fake: Answer, real: Answer) -> str:
    def lines(answer: Answer) -> list[str]:
        text = f"exit code {answer.exit_code}\n{answer.stdout}{answer.stderr}"
        return text.encode("unicode_escape").decode().replace("\\n", "\n").splitlines()

    diff = difflib.unified_diff(lines(real), lines(fake), "real", "fake", lineterm="")
    return "\n".join([f"smolvm {' '.join(map(ascii, argv))}", f"(CLAP_SEED={SEED})", *diff])


@seed(SEED)
@settings(
    max_examples=EXAMPLES,
    database=None,
    deadline=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow],
)
@given(argv=COMMAND_LINES)
def test_the_fake_answers_like_the_real_smolvm(
    real_answer: Callable[[Sequence[str]], Answer], argv: list[str]
) -> None:
    real = comparable(real_answer(argv))
    fake = fake_answer(argv)
    if fake is None:
        usage_error = 2
        assert real.exit_code != usage_error, difference(argv, Answer(0, "accepted", ""), real)
    else:
        fake = comparable(fake)
        if fake != real:
            pytest.fail(difference(argv, fake, real), pytrace=False)
