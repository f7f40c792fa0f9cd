"""Which smolvm the fake is, and whose HOME it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SAYS = """
import os, subprocess, pytest
{marker}
@pytest.mark.parametrize("fixture", ["smolvm", "fake_smolvm"])
def test_it(request, fixture):
    smolvm = request.getfixturevalue(fixture)
    path = {{"PATH": os.environ["PATH"]}}
    own = subprocess.run(["smolvm", "--version"], capture_output=True, text=True, env=path)
    shell = subprocess.run("smolvm --version", shell=True, capture_output=True, text=True)
    assert own.stdout == shell.stdout == f"smolvm {{smolvm.version}}\\n"
    smolvm.run("machine", "create", "--name", "box")
    assert smolvm.calls[-1].machine == ("box" if smolvm.version == "1.4.0" else None)
    smolvm.run("machine", "delete", "-f", "--name", "box")
    assert smolvm.machines == {{}}
    print(fixture, "is", smolvm.version)
"""


@pytest.fixture(autouse=True)
def _nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("SMOLVM_BINARY", "PYTEST_SMOLVM", "FAKE_SMOLVM_VERSION"):
        monkeypatch.delenv(variable, raising=False)


def test_marker_before_option_before_ini_before_variable(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    def said(*args: str, marker: str = "") -> str:
        pytester.makepyfile(test_it=SAYS.format(marker=marker))
        result = pytester.runpytest("-s", *args)
        result.assert_outcomes(passed=2)
        header = next(line for line in result.outlines if line.startswith("smolvm: fake "))
        used = {line.rpartition("is ")[2] for line in result.outlines if "smolvm is " in line}
        assert len(used) == 1
        return f"{header.removeprefix('smolvm: fake ')} {used.pop().removesuffix('.')}"

    old, new = "0.8.0", "1.4.0"
    assert said() == f"{old} {old}"
    monkeypatch.setenv("FAKE_SMOLVM_VERSION", new)
    assert said() == f"{new} {new}"
    pytester.makeini(f"[pytest]\nsmolvm_cli = {old}\n")
    assert said() == f"{old} {old}"
    assert said(f"--smolvm-cli={new}") == f"{new} {new}"
    marker = f'@pytest.mark.smolvm(cli="{old}")'
    assert said(f"--smolvm-cli={new}", marker=marker) == f"{new} {old}"


def test_one_that_there_is_not(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(): pass")
    result = pytester.runpytest("--smolvm-cli=0.9.0")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --smolvm-cli: '0.9.0' is no *There are: 0.8.0, 1.4.0"])


def test_a_real_one_of_another_version(
    pytester: pytest.Pytester, make_stand_in: Callable[[str], Path]
) -> None:
    binary = make_stand_in("1.9.1")
    real = ("--smolvm=real", f"--smolvm-binary={binary}")
    pytester.makepyfile(
        """
        import pytest

        def test_it(smolvm): assert smolvm.version == "1.9.1"

        @pytest.mark.smolvm(cli="0.8.0")
        def test_other(smolvm): pass
        """
    )
    result = pytester.runpytest(*real)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines([f"smolvm 0.8.0 is asked for *, but {binary} is 1.9.1"])
    pytester.runpytest(*real, "--smolvm-cli=1.9.1", "-k", "test_it").assert_outcomes(passed=1)
    result = pytester.runpytest(*real, "--smolvm-cli=0.8.0")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: smolvm 0.8.0 is asked for *, but {binary} is 1.9.1"])


def test_a_cassette_of_another_version(pytester: pytest.Pytester, stand_in: Path) -> None:
    pytester.makepyfile('def test_it(smolvm): smolvm.run("machine", "ls", "--json")')
    record = ("--smolvm=real", f"--smolvm-binary={stand_in}", "--smolvm-record=rewrite")
    pytester.runpytest(*record).assert_outcomes(passed=1)
    pytester.runpytest("--smolvm=replay", "--smolvm-cli=0.8.0").assert_outcomes(passed=1)
    result = pytester.runpytest("--smolvm=replay", "--smolvm-cli=1.4.0")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["smolvm 1.4.0 is asked for *the cassette was recorded on 0.8.0"])


KEEPS = """
import os, subprocess, pytest
HOME = os.environ["HOME"]
{marker}
@pytest.mark.parametrize("fixture", {fixtures})
def test_it(request, fixture):
    smolvm = request.getfixturevalue(fixture)
    assert os.environ["HOME"] == smolvm.env["HOME"] == HOME != str(smolvm.home)
    tilde = subprocess.run("echo ~", shell=True, capture_output=True, text=True).stdout
    assert tilde.strip() == HOME
    for options in ({{}}, {{"env": dict(os.environ)}}, {{"env": {{"PATH": os.environ["PATH"]}}}}):
        done = subprocess.run(["smolvm", "machine", "create", "box"], check=True, text=True,
                              capture_output=True, **options)
        {check}
        subprocess.run(["smolvm", "machine", "delete", "-f", "box"], check=True, **options)
    subprocess.run("smolvm machine create box", shell=True, check=True)
    subprocess.run("smolvm machine delete -f box", shell=True, check=True)
    assert len(smolvm.calls) == 8
    assert not os.path.exists(os.path.join(HOME, ".fake_smolvm"))
"""


@pytest.mark.parametrize("where", ["marker", "ini"])
def test_home_is_left_alone(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, stand_in: Path, where: str
) -> None:
    monkeypatch.setenv("HOME", str(pytester.mkdir("home")))
    marker = '@pytest.mark.smolvm(home="keep")' if where == "marker" else ""
    if where == "ini":
        pytester.makeini("[pytest]\nsmolvm_home = keep\n")
    check = 'assert list(smolvm.machines) == ["box"]'
    fixtures = ["smolvm", "fake_smolvm"]
    pytester.makepyfile(KEEPS.format(marker=marker, check=check, fixtures=fixtures))
    pytester.runpytest().assert_outcomes(passed=2)
    # A real one prints the HOME that it has.
    check = 'assert done.stdout == f"Created machine: box in {smolvm.home}\\n"'
    pytester.makepyfile(KEEPS.format(marker=marker, check=check, fixtures=fixtures[:1]))
    real = ("--smolvm=real", f"--smolvm-binary={stand_in}")
    pytester.runpytest(*real).assert_outcomes(passed=1)
