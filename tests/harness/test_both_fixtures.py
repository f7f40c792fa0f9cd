"""`smolvm` and `fake_smolvm` in one test: one of them answers, and it is never silent which."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

GUARD = """
import pytest, subprocess

@pytest.fixture(autouse=True)
def no_real_machines(fake_smolvm):
    pass

def call():
    return subprocess.run(["smolvm", "machine", "create", "box"], capture_output=True, text=True)
"""


@pytest.mark.parametrize("arguments", ["smolvm", "smolvm, fake_smolvm", "fake_smolvm, smolvm"])
def test_the_real_one_answers(pytester: pytest.Pytester, stand_in: Path, arguments: str) -> None:
    body = f"""{GUARD}
def test_it({arguments}):
    assert call().stdout == f"Created machine: box in {{smolvm.home}}\\n"
    smolvm.calls.assert_called_once_with("smolvm", "machine", "create", "box")
"""
    pytester.makepyfile(test_it=body)
    record = ("--smolvm=real", f"--smolvm-binary={stand_in}", "--smolvm-record=rewrite")
    pytester.runpytest(*record).assert_outcomes(passed=1)
    cassette = (pytester.path / "cassettes/test_it/test_it.toml").read_text(encoding="utf-8")
    assert 'source = "real"' in cassette
    assert cassette.count("[[call]]") == 1


@pytest.mark.parametrize("wide", ["smolvm_class", "smolvm_module", "smolvm_session"])
def test_a_wider_one_answers_too(pytester: pytest.Pytester, stand_in: Path, wide: str) -> None:
    pytester.makepyfile(
        f"""{GUARD}
@pytest.fixture(scope="module" if "{wide}" != "smolvm_class" else "class")
def box({wide}):
    yield {wide}

def test_it(box, smolvm):
    assert smolvm is box
    assert call().stdout == f"Created machine: box in {{box.home}}\\n"
    assert len(box.calls) == 1
"""
    )
    real = ("--smolvm=real", f"--smolvm-binary={stand_in}")
    pytester.runpytest(*real).assert_outcomes(passed=1)


@pytest.mark.parametrize(
    "use",
    [
        "fake_smolvm.run('--version')",
        "fake_smolvm.calls.assert_not_called()",
        "fake_smolvm.calls",
        "len(fake_smolvm.machines)",
        "fake_smolvm.fault('machine start')",
        "fake_smolvm.mode",
        "fake_smolvm.anything = 3",
    ],
)
def test_what_stepped_aside_says_so(pytester: pytest.Pytester, use: str) -> None:
    pytester.makepyfile(f"def test_it(smolvm, fake_smolvm):\n    {use}\n")
    result = pytester.runpytest()
    result.assert_outcomes(failed=1)
    name = use.removeprefix("len(").partition(".")[2].replace("(", " ").replace(")", " ").split()[0]
    said = "*`fake_smolvm` has stepped aside in this test, which has `smolvm` too: *"
    result.stdout.fnmatch_lines([f"{said}write `smolvm.{name.partition('.')[0]}`*"])


def test_what_stepped_aside_leaves_all_alone(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import os, subprocess
        popen, kill = subprocess.Popen, os.kill

        def test_it(smolvm, fake_smolvm):
            assert (subprocess.Popen, os.kill) == (popen, kill)
            assert subprocess.run(["echo", "hello"], capture_output=True).stdout == b"hello\\n"
            assert "stepped aside for smolvm" in repr(fake_smolvm)
            assert not hasattr(fake_smolvm, "__len__")
        """
    )
    pytester.runpytest().assert_outcomes(passed=1)


def test_asked_for_too_late(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        def test_late(fake_smolvm, request):
            request.getfixturevalue("smolvm")

        def test_the_other_way_round(smolvm, request):
            fake = request.getfixturevalue("fake_smolvm")
            assert "stepped aside" in repr(fake)
        """
    )
    result = pytester.runpytest()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*`fake_smolvm` answers in this test already*as an argument*"])


def test_a_block_answers_too(pytester: pytest.Pytester, stand_in: Path) -> None:
    pytester.makepyfile(
        f"""{GUARD}
import fake_smolvm as package, unittest

class Test(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.smolvm = cls.enterClassContext(package.sandbox())

    def test_it(self):
        assert "in /" in call().stdout
        assert len(self.smolvm.calls) == 1

def test_late(fake_smolvm):
    with pytest.raises(RuntimeError, match="answers in this test already"):
        with package.sandbox():
            pass
"""
    )
    real = ("--smolvm=real", f"--smolvm-binary={stand_in}")
    pytester.runpytest(*real).assert_outcomes(passed=2)
