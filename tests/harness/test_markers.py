"""Whatever a marker says is checked, before any test runs."""

from __future__ import annotations

import pytest

TEST = """
import pytest
{before}
@pytest.mark.{marker}
def test_it({fixture}):
    pass
"""


def collected(
    pytester: pytest.Pytester, marker: str, *args: str, fixture: str = "smolvm", before: str = ""
) -> pytest.RunResult:
    pytester.makepyfile(test_it=TEST.format(marker=marker, fixture=fixture, before=before))
    return pytester.runpytest(*args)


@pytest.mark.parametrize("fixture", ["smolvm", ""])
@pytest.mark.parametrize(
    ("marker", "complaint"),
    [
        ('smolvm("Real")', "'Real' is no mode; did you mean 'real'[?] There are: fake, real, *"),
        ('smolvm(mode="reel")', "'reel' is no mode; did you mean 'real'[?]*"),
        ("smolvm(None)", "None is no mode*"),
        ("smolvm(3)", "3 is no mode*"),
        ("smolvm", "says nothing; smolvm takes a mode*"),
        ("smolvm()", "says nothing; smolvm takes a mode*"),
        ('smolvm("fake", "real")', "smolvm takes a mode*"),
        ('smolvm("fake", mode="fake")', "smolvm takes a mode*"),
        ('smolvm("fake", reason="x")', "smolvm takes a mode*"),
        ('smolvm(cli="0.8")', "'0.8' is no smolvm version that the fake knows; did you mean*"),
        ("smolvm(cli=8)", 'cli is a version of smolvm such as "0.8.0"*'),
        ('smolvm(cli="new")', 'cli is a version of smolvm such as "0.8.0"*'),
        ('smolvm(home="kept")', "'kept' is no home; did you mean 'keep'[?]*"),
        (
            'smolvm_allows("H99", reason="x")',
            "'H99' is no hazard*There are: H1, *, process, unused",
        ),
        ('smolvm_allows("Leak", reason="x")', "'Leak' is no hazard; did you mean 'leak'[?]*"),
        ('smolvm_allows(3, reason="x")', "3 is no hazard*"),
        ('smolvm_allows(["H3"], reason="x")', "is no hazard*"),
        ("smolvm_allows", "smolvm_allows takes hazards and a reason*"),
        ('smolvm_allows("H3")', "smolvm_allows takes hazards and a reason*"),
        ('smolvm_allows("H3", reason=" ")', "smolvm_allows takes hazards and a reason*"),
        ('smolvm_allows("H3", reason=3)', "smolvm_allows takes hazards and a reason*"),
        ('smolvm_allows("H3", "a reason")', "smolvm_allows takes hazards and a reason*"),
        ('smolvm_allows("H3", reason="x", why="y")', "smolvm_allows takes hazards and a reason*"),
        ('smolvm_allows("H3", raeson="x")', "smolvm_allows takes hazards and a reason*"),
    ],
)
def test_one_that_says_nothing_ends_the_run(
    pytester: pytest.Pytester, marker: str, complaint: str, fixture: str
) -> None:
    result = collected(pytester, marker, fixture=fixture)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    *_, last = [line for line in result.errlines if line]
    assert last.startswith("ERROR: test_it.py::test_it: @pytest.mark.smolvm")
    result.stderr.fnmatch_lines([f"*{complaint}"])


def test_workers_say_so_too(pytester: pytest.Pytester) -> None:
    result = collected(pytester, 'smolvm("Real")', "-n2")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*'Real' is no mode; did you mean 'real'?*"])


def test_each_fault_is_told_once_and_all_are_told(pytester: pytest.Pytester) -> None:
    marks = 'pytestmark = pytest.mark.smolvm_allows("H0", "h3", reason="x")\n'
    marks += '@pytest.mark.parametrize("number", [1, 2])'
    result = collected(pytester, 'smolvm("Fake")', fixture="smolvm, number", before=marks)
    said = "\n".join(result.errlines)
    assert said.count("'Fake' is no mode") == said.count("'H0' is no hazard") == 1
    assert said.count("'h3' is no hazard; did you mean 'H3'?") == 1


def test_two_that_contradict_each_other(pytester: pytest.Pytester) -> None:
    result = collected(pytester, 'smolvm("fake")', before='@pytest.mark.smolvm("real")')
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*two markers smolvm of test_it say 'real' and 'fake'*"])


@pytest.mark.parametrize("mode", ["real", "auto", "replay"])
def test_in_process_is_always_the_fake(pytester: pytest.Pytester, mode: str) -> None:
    result = collected(pytester, f'smolvm("{mode}")', fixture="fake_smolvm")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*does nothing to `fake_smolvm`*use the fixture `smolvm`"])
    asked = "request.getfixturevalue('fake_smolvm')"
    pytester.makepyfile(
        test_it=TEST.format(marker=f'smolvm("{mode}")', fixture="request", before="").replace(
            "pass", asked
        )
    )
    late = pytester.runpytest()
    late.assert_outcomes(failed=1)
    late.stdout.fnmatch_lines(["*does nothing to `fake_smolvm`*"])


@pytest.mark.parametrize("marker", ['smolvm("fake")', 'smolvm_allows("H3", reason="x")'])
@pytest.mark.parametrize("fixture", ["smolvm_class", "smolvm_module", "smolvm_session"])
def test_one_that_comes_too_late(pytester: pytest.Pytester, marker: str, fixture: str) -> None:
    on_class = f"class TestIt:\n    @pytest.mark.{marker}\n    def test_it(self, {fixture}): pass"
    pytester.makepyfile(f"import pytest\n{on_class}\n")
    result = pytester.runpytest()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: *comes too late for `{fixture}`*: put it *"])


def test_one_that_does_nothing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.smolvm_allows("H3", reason="x")
        def test_own(): pass

        @pytest.mark.smolvm("fake")
        @pytest.mark.parametrize("fixture", ["smolvm", "fake_smolvm"])
        def test_asked_for_late(request, fixture):
            request.getfixturevalue(fixture)

        @pytest.mark.smolvm("fake")
        class TestMixed:
            def test_with(self, smolvm): pass
            def test_without(self): pass
        """
    )
    result = pytester.runpytest()
    result.assert_outcomes(passed=5, errors=1)
    result.stdout.fnmatch_lines(
        ["the marker smolvm_allows of this test did nothing: it uses none*"]
    )


def test_markers_of_test_and_class_add_up(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.smolvm(cli="1.4.0")
        class TestBoth:
            @pytest.mark.smolvm("fake")
            def test_it(self, smolvm):
                assert (smolvm.mode, smolvm.version) == ("fake", "1.4.0")
        """
    )
    pytester.runpytest("--smolvm=replay").assert_outcomes(passed=1)
