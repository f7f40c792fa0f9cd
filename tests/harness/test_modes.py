"""Which smolvm a run is about, however that is said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fake_smolvm.install import install

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SAYS_MODE = """
def test_mode(smolvm):
    print("mode", smolvm.mode, smolvm.version)
"""


@pytest.fixture(autouse=True)
def _no_smolvm_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SMOLVM_BINARY", raising=False)
    monkeypatch.delenv("PYTEST_SMOLVM", raising=False)


def test_fake_is_the_default(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SAYS_MODE)
    result = pytester.runpytest("-s")
    result.stdout.fnmatch_lines(["smolvm: fake 0.8.0", "*mode fake 0.8.0*"])


@pytest.mark.parametrize("how", ["option", "variable", "path"])
def test_real(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, stand_in: Path, how: str
) -> None:
    pytester.makepyfile(SAYS_MODE)
    args = ["-s", "--smolvm=real"]
    if how == "option":
        args.append(f"--smolvm-binary={stand_in}")
    elif how == "variable":
        monkeypatch.setenv("SMOLVM_BINARY", str(stand_in))
    else:
        monkeypatch.setenv("PATH", str(stand_in.parent), prepend=":")
    result = pytester.runpytest(*args)
    result.stdout.fnmatch_lines([f"smolvm: real 0.8.0 ({stand_in})", "*mode real 0.8.0*"])


def test_real_without_a_binary_ends_the_run(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SAYS_MODE)
    result = pytester.runpytest("--smolvm=real")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR:*no smolvm*"])


@pytest.mark.parametrize("how", ["--smolvm-binary", "$SMOLVM_BINARY"])
@pytest.mark.parametrize(
    ("named", "why"),
    [
        ("/no/smolvm", "No such file or directory"),
        ("no-smolvm", "there is none of that name on PATH"),
        ("{folder}", "but a folder"),
        ("{folder}/file", "it may not be run (chmod +x[?])"),
        ("{folder}/file/smolvm", "Not a directory"),
    ],
)
def test_named_binary_that_is_none(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, named: str, why: str, how: str
) -> None:
    (pytester.path / "file").touch()
    named = named.format(folder=pytester.path)
    args = ["--smolvm=real"]
    if how == "--smolvm-binary":
        args.append(f"--smolvm-binary={named}")
    else:
        monkeypatch.setenv("SMOLVM_BINARY", named)
    pytester.makepyfile(SAYS_MODE)
    result = pytester.runpytest(*args)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {how}: '{named}' is not an executable*{why}"])


def test_binary_without_the_mode_is_checked_and_the_header_says_so(
    pytester: pytest.Pytester, stand_in: Path
) -> None:
    pytester.makepyfile(SAYS_MODE)
    result = pytester.runpytest(f"--smolvm-binary={stand_in}")
    result.stdout.fnmatch_lines(["smolvm: fake 0.8.0; --smolvm-binary is for tests marked real*"])
    assert pytester.runpytest("--smolvm-binary=/no").ret == pytest.ExitCode.USAGE_ERROR


def test_auto_takes_the_real_one_if_there_is_one(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, stand_in: Path
) -> None:
    pytester.makepyfile(SAYS_MODE)
    pytester.runpytest("--smolvm=auto").stdout.fnmatch_lines(["smolvm: fake 0.8.0"])
    monkeypatch.setenv("PATH", str(stand_in.parent), prepend=":")
    pytester.runpytest("--smolvm=auto").stdout.fnmatch_lines(["smolvm: real 0.8.0 *"])
    # Nor is the fake, installed in front of everything, a real one.
    monkeypatch.setenv("PATH", str(install(pytester.path / "installed").parent), prepend=":")
    pytester.runpytest("--smolvm=auto").stdout.fnmatch_lines(["smolvm: fake 0.8.0"])


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("#!/bin/sh\nexec python -m fake_smolvm\n", "*is the fake, not a real smolvm*"),
        ("#!/bin/sh\necho git version 2\n", "*does not say that it is smolvm*"),
        ("#!/bin/no-such-thing\n", "*--version: No such file or directory"),
        ("no format that is known", "*--version: Exec format error"),
        ("#!/bin/sh\n", "*does not say that it is smolvm: its --version says nothing, exit code 0"),
        ("#!/bin/sh\necho smolvm new\n", "*its --version says 'smolvm new', exit code 0"),
        ("#!/bin/sh\nsleep 60\n", "*--version says nothing for 0.1 seconds: is it a smolvm[?]"),
        ('#!/bin/sh\nexec {fake} "$@"\n', "*is the fake, not a real smolvm"),
    ],
)
def test_what_is_no_smolvm_of_the_right_kind(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    text: str,
    complaint: str,
) -> None:
    monkeypatch.setattr("fake_smolvm.harness.settings._VERSION_TIMEOUT_SECONDS", 0.1)
    hidden = tmp_path / "hidden"
    hidden.symlink_to(install(tmp_path / "installed"))
    if "sleep" not in text:
        monkeypatch.undo()
    binary = tmp_path / "smolvm"
    binary.write_text(text.replace("{fake}", str(hidden)), encoding="utf-8")
    binary.chmod(0o755)
    result = pytester.runpytest("--smolvm=real", f"--smolvm-binary={binary}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {complaint}"])


def test_marker_before_option_before_variable_before_ini(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, stand_in: Path
) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.smolvm("fake")
        def test_marked(smolvm):
            print("marked", smolvm.mode)

        def test_other(smolvm):
            print("other", smolvm.mode)
        """
    )
    monkeypatch.setenv("SMOLVM_BINARY", str(stand_in))
    pytester.makeini("[pytest]\nsmolvm = real\n")
    both = ["*marked fake*", "*other real*"]
    pytester.runpytest("-s").stdout.fnmatch_lines(["smolvm: real*", *both])
    monkeypatch.setenv("PYTEST_SMOLVM", "fake")
    pytester.runpytest("-s").stdout.fnmatch_lines(
        ["smolvm: fake*", "*marked fake*", "*other fake*"]
    )
    pytester.runpytest("-s", "--smolvm=real").stdout.fnmatch_lines(both)


def test_unknown_mode(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nsmolvm = genuine\n")
    result = pytester.runpytest()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: ini smolvm: smolvm mode 'genuine' is none of fake, real, auto, replay"]
    )


def test_real_machines_are_isolated_looked_at_and_torn_down(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, stand_in: Path
) -> None:
    monkeypatch.setenv("SMOLVM_LIB_DIR", "/opt/smolvm")
    monkeypatch.setenv("SMOLVM_MACHINE_NAME", "somebodys")
    pytester.makepyfile(
        """
        import os, subprocess, pytest

        @pytest.mark.smolvm_allows("leak", reason="the stand-in deletes nothing")
        def test_real(smolvm):
            assert os.environ["HOME"] == str(smolvm.home)
            assert os.environ["SMOLVM_LIB_DIR"] == "/opt/smolvm"
            assert "SMOLVM_MACHINE_NAME" not in os.environ
            done = smolvm.run("machine", "create", "box")
            assert done.stdout == f"Created machine: box in {smolvm.home}\\n"
            smolvm.calls.assert_called_once_with("smolvm", "machine", "create", "box")
            (smolvm.home / "ls").write_text('[{"name": "box", "state": "running"}]')
            assert smolvm.machine("box").state == "running"
            assert len(smolvm.calls) == 1
            with pytest.raises(RuntimeError, match="mark the test"):
                smolvm.fault("machine ls")
            child = subprocess.Popen(["smolvm", "machine", "exec", "--name", "box", "--", "die"])
            assert child.wait() == -11
        """
    )
    pytester.runpytest("--smolvm=real", f"--smolvm-binary={stand_in}").assert_outcomes(passed=1)


def test_real_of_a_later_version(
    pytester: pytest.Pytester, make_stand_in: Callable[[str], Path]
) -> None:
    binary = make_stand_in("1.4.0")
    pytester.makepyfile(
        """
        import pathlib, pytest

        @pytest.mark.smolvm_allows("leak", reason="to see what tears it down")
        def test_real(smolvm):
            smolvm.run("machine", "create", "--name", "box")
            assert smolvm.calls[0].machine == "box"
            (smolvm.home / "ls").write_text('[{"name": "box", "state": "running"}]')

        def test_torn_down(smolvm, request):
            assert pathlib.Path("deleted").read_text() == "machine delete -f --name box\\n"
        """
    )
    script = binary.read_text(encoding="utf-8")
    act = f'echo "$*" > {pytester.path}/deleted; rm "$HOME/ls"'
    case = f'  "machine delete "*) {act};;\n  *) echo "error'
    binary.write_text(
        script.replace('"machine delete -f "*', '"unused "*').replace('  *) echo "error', case),
        encoding="utf-8",
    )
    result = pytester.runpytest("--smolvm=real", f"--smolvm-binary={binary}")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["smolvm: real 1.4.0 *"])


LIST = '"machine ls --json")'


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ('"machine delete "*) echo "Error: x" >&2; exit 1;;', "*'box', running; * 'Error: x'*"),
        (f'{LIST} echo "Error: locked" >&2; exit 1;;', "*lists no *: 'Error: locked'*"),
        (f'{LIST} echo "{{}}}}";;', "*lists no machines: '{}}', exit code 0*"),
        (f'{LIST} echo "[3]";;', "*lists no machines: *"),
        (f'{LIST} rm "$0"; echo "[]";;', "*could not be cleaned up: *No such file*"),
    ],
)  # fmt: skip
def test_what_cannot_be_cleaned_up_is_named(
    pytester: pytest.Pytester, stand_in: Path, case: str, said: str
) -> None:
    script = stand_in.read_text(encoding="utf-8")
    stand_in.write_text(script.replace("in\n  --version)", f"in\n  {case}\n  --version)"))
    pytester.makepyfile(
        """
        def test_it(smolvm):
            (smolvm.home / "ls").write_text('[{"name": "box", "state": "running"}]')
        """
    )
    result = pytester.runpytest("--smolvm=real", f"--smolvm-binary={stand_in}")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines([said])


def test_orphan_of_a_real_machine_is_found_and_ended(
    pytester: pytest.Pytester, stand_in: Path
) -> None:
    pytester.makepyfile(
        """
        import pathlib, subprocess

        def test_orphan(smolvm):
            smolvm.run("machine", "start", "--name", "orphan")
            pathlib.Path("pid").write_text((smolvm.home / "orphan").read_text())

        def test_ended():
            look = ["ps", "-o", "state=", "-p", pathlib.Path("pid").read_text().strip()]
            seen = subprocess.run(look, stdout=subprocess.PIPE, text=True).stdout.strip()
            assert seen[:1] in ("", "Z")
        """
    )
    result = pytester.runpytest("--smolvm=real", f"--smolvm-binary={stand_in}")
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["H3: *", "  here:    process * is left behind, running"])


def test_killed_with_its_caller_gone(pytester: pytest.Pytester, stand_in: Path) -> None:
    pytester.makepyfile(
        """
        import subprocess, time, pytest

        def test_kill(smolvm):
            with pytest.raises(subprocess.TimeoutExpired):
                smolvm.run("machine", "exec", "--name", "box", "--", "sleep", timeout=1)
            (smolvm.home / "ls").unlink(missing_ok=True)
            for _ in range(50):
                look = ["pgrep", "-f", str(smolvm.binary)]
                seen = subprocess.run(look, stdout=subprocess.DEVNULL)
                if seen.returncode:
                    return
                time.sleep(0.1)
            assert False, "the real binary is still there"
        """
    )
    pytester.runpytest("--smolvm=real", f"--smolvm-binary={stand_in}").assert_outcomes(passed=1)


def test_two_workers_do_not_meet(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest, time

        @pytest.mark.smolvm_allows("leak", reason="time is short")
        @pytest.mark.parametrize("fixture", ["smolvm", "fake_smolvm"] * 4)
        def test_alone(request, fixture):
            smolvm = request.getfixturevalue(fixture)
            assert smolvm.machines == {}
            assert smolvm.run("machine", "create", "box").returncode == 0
            time.sleep(0.1)
            assert list(smolvm.machines) == ["box"]
        """
    )
    result = pytester.runpytest("-n2")
    result.assert_outcomes(passed=8)
    result.stdout.fnmatch_lines(["smolvm: fake 0.8.0"])


def test_unused_plugin_imports_nothing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_that_is_over(): pass

        def test_imports():
            ours = {name for name in sys.modules if name.startswith("fake_smolvm.")}
            assert ours <= {
                "fake_smolvm.grammars",
                "fake_smolvm.harness",
                "fake_smolvm.harness.lives",
                "fake_smolvm.harness.options",
                "fake_smolvm.harness.plugin",
                "fake_smolvm.harness.stash",
                "fake_smolvm.variables",
            }
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=2)
