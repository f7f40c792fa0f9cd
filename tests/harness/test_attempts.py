"""What is known of a test is known of one attempt at it, and only a whole one is recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

RECORD = ("--smolvm=real", "--smolvm-record=rewrite")


def recorded(pytester: pytest.Pytester, stand_in: Path, body: str, *args: str) -> list[str]:
    """Return the names of the cassettes that a recorded run wrote."""
    pytester.makepyfile(test_it=body)
    pytester.runpytest(*RECORD, f"--smolvm-binary={stand_in}", *args)
    return sorted(path.stem for path in pytester.path.glob("cassettes/test_it/*.toml"))


SECOND = """
import itertools
first, second = itertools.count(), itertools.count()

def test_leaks(smolvm):
    smolvm.run("machine", "create", "box", check=True)
    assert next(first) > 0

def test_passes(smolvm):
    smolvm.run("machine", "ls", "--json")
    assert next(second) > 0
"""


def test_the_attempt_that_counts_is_judged(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SECOND)
    result = pytester.runpytest("--reruns=1")
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["leak: machine 'box' is still there, created; made by"])


def test_the_attempt_that_counts_is_recorded(pytester: pytest.Pytester, stand_in: Path) -> None:
    assert recorded(pytester, stand_in, SECOND, "--reruns=1") == ["test_leaks", "test_passes"]


def test_each_attempt_has_its_own_timeline(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import itertools
        attempts = itertools.count()

        def test_fails(smolvm):
            smolvm.run("machine", "ls", "-q" * next(attempts))
            assert False
        """
    )
    pytester.runpytest("--reruns=1", "--junitxml=junit.xml")
    xml = (pytester.path / "junit.xml").read_text(encoding="utf-8")
    assert xml.count("smolvm machine ls -q") == 1


@pytest.mark.parametrize(
    "body",
    [
        "pytest.skip('no network')",
        "pytest.xfail('known')",
        "assert False",
        "pytest.exit('enough')",
        "request.node.add_marker(pytest.mark.xfail); assert False",
        "request.node.add_marker(pytest.mark.xfail(strict=True))",
        "request.getfixturevalue('breaks_at_once')",
        "request.getfixturevalue('breaks_at_its_end')",
        "request.addfinalizer(lambda: 1 / 0)",
        "request.node.addfinalizer(lambda: 1 / 0)",
        "request.getfixturevalue('subtests').test().__enter__(); assert False",
    ],
)
def test_only_a_whole_test_is_recorded(
    pytester: pytest.Pytester, stand_in: Path, body: str
) -> None:
    written = recorded(
        pytester,
        stand_in,
        f"""
import pytest

@pytest.fixture
def breaks_at_once():
    assert False

@pytest.fixture
def breaks_at_its_end():
    yield
    assert False

def test_it(smolvm, request):
    smolvm.run("machine", "ls", "--json")
    {body}
""",
    )
    assert written == []


@pytest.mark.parametrize("order", ["smolvm, breaks", "breaks, smolvm"])
def test_a_fixture_that_fails_before_or_after(
    pytester: pytest.Pytester, stand_in: Path, order: str
) -> None:
    body = f"""
import pytest

@pytest.fixture
def breaks():
    yield
    assert False

def test_it({order}):
    smolvm.run("machine", "ls", "--json")
"""
    assert recorded(pytester, stand_in, body) == []


@pytest.mark.parametrize("fails", ["assert False", "pytest.skip()", "pytest.xfail()"])
@pytest.mark.parametrize("kind", ["pytest", "unittest"])
def test_a_part_that_fails(
    pytester: pytest.Pytester, stand_in: Path, kind: str, fails: str
) -> None:
    pytest.importorskip("_pytest.subtests")  # pytest 9 has them
    bodies = {
        "pytest": f"""
import pytest
def test_it(smolvm, subtests):
    with subtests.test("one"):
        smolvm.run("machine", "ls", "--json")
        {fails}
    with subtests.test("two"):
        smolvm.run("machine", "ls", "--json")
""",
        "unittest": f"""
import subprocess, unittest, pytest
@pytest.mark.usefixtures("smolvm")
class Test(unittest.TestCase):
    def test_it(self):
        with self.subTest("one"):
            subprocess.run(["smolvm", "machine", "ls", "--json"])
            {fails}
        with self.subTest("two"):
            subprocess.run(["smolvm", "machine", "ls", "--json"])
""",
    }
    assert recorded(pytester, stand_in, bodies[kind]) == []
    assert recorded(pytester, stand_in, bodies[kind].replace(fails, "pass")) != []


def test_one_that_passes_though_it_need_not_is_whole(
    pytester: pytest.Pytester, stand_in: Path
) -> None:
    body = """
import pytest

@pytest.mark.xfail
def test_it(smolvm):
    smolvm.run("machine", "ls", "--json")
"""
    assert recorded(pytester, stand_in, body) == ["test_it"]


def test_nothing_to_record_is_no_cassette(pytester: pytest.Pytester, stand_in: Path) -> None:
    body = """
import pytest

def test_it(smolvm):
    pass

@pytest.mark.smolvm("fake")
def test_on_the_fake(smolvm):
    pass
"""
    assert recorded(pytester, stand_in, body) == []
    result = pytester.runpytest(*RECORD, f"--smolvm-binary={stand_in}")
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["nothing to record: this test never started smolvm*"])
    real = pytester.runpytest("--smolvm=real", f"--smolvm-binary={stand_in}")
    real.assert_outcomes(passed=2)


def test_an_expected_failure_is_not_held_to_what_it_leaves(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.xfail
        def test_it(smolvm):
            smolvm.fault("machine start")
            smolvm.run("machine", "create", "box")
            assert False
        """
    )
    pytester.runpytest().assert_outcomes(xfailed=1)
