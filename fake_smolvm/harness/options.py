"""What the command line, the environment and the ini file may say, and what mode that means."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fake_smolvm import variables
from fake_smolvm.harness.stash import RUN

if TYPE_CHECKING:
    import pytest

    from fake_smolvm.harness.settings import Run

MODES = ("fake", "real", "auto", "replay")
MODE_VARIABLE = "PYTEST_SMOLVM"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("smolvm", "smolvm: fake, real or replayed")
    group.addoption(
        "--smolvm",
        choices=MODES,
        help="what the fixture `smolvm` puts on PATH: the fake (default), the real binary, the "
        "real one where there is one (auto), or a recording of it (replay); also as marker "
        f"smolvm(mode), ${MODE_VARIABLE} and ini `smolvm`, in this order after the marker",
    )
    group.addoption(
        "--smolvm-cli",
        metavar="VERSION",
        help="which smolvm the fake is, and the real one must be; also as marker "
        "smolvm(cli=...) and ini `smolvm_cli`; for the fake alone also $" + variables.VERSION,
    )
    group.addoption(
        "--smolvm-binary",
        metavar="PATH",
        help="the real smolvm; else $SMOLVM_BINARY, else the first on PATH",
    )
    group.addoption(
        "--smolvm-record",
        choices=("none", "rewrite"),
        default="none",
        help="rewrite: record every test that passes, in place of its cassette",
    )
    group.addoption(
        "--smolvm-report", metavar="FILE", help="write a page (HTML) with each test's timeline"
    )
    parser.addini("smolvm", f"default of --smolvm: {', '.join(MODES)}", default="fake")
    parser.addini("smolvm_cli", "default of --smolvm-cli", default="")
    parser.addini(
        "smolvm_home",
        "`sandbox` (a HOME of its own for each test) or `keep` (only smolvm itself gets one)",
        default="sandbox",
    )
    parser.addini(
        "smolvm_cli_versions",
        "smolvm versions whose command line argv_snapshot checks every argv against",
        type="args",
        default=[],
    )
    parser.addini(
        "smolvm_allows",
        "what the whole suite may walk into, one a line: `H3: reason`, `leak: reason`, "
        "`unused: reason`",
        type="linelist",
        default=[],
    )


def says_more(config: pytest.Config) -> bool:
    """Tell whether there is anything to check beside the mode."""
    ini = ("smolvm_allows", "smolvm_cli", "smolvm_cli_versions")
    return bool(
        any(config.getini(name) for name in ini)
        or config.getini("smolvm_home") != "sandbox"
        or config.getoption("smolvm_cli") is not None
        or config.getoption("smolvm_binary") is not None
        or os.environ.get(variables.VERSION)
    )


def mode_of(config: pytest.Config) -> tuple[str, str]:
    """Return the mode of the run, and who says so."""
    option, variable = config.getoption("smolvm"), os.environ.get(MODE_VARIABLE)
    if option:
        return str(option), "--smolvm"
    return (variable, f"${MODE_VARIABLE}") if variable else (config.getini("smolvm"), "ini smolvm")


def run_of(config: pytest.Config) -> Run:
    """Return what the run is told; raise pytest.UsageError if that cannot be done."""
    if RUN not in config.stash:
        from fake_smolvm.harness import settings

        config.stash[RUN] = settings.run_of(config, mode_of(config)[0])
    return config.stash[RUN]
