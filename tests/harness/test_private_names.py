"""Names that CPython and pytest-subprocess do not promise: a sentence where one is gone."""

from __future__ import annotations

from textwrap import indent

import pytest

GONE = {
    "Popen has no _close_pipe_fds": "del subprocess.Popen._close_pipe_fds",
    "Popen has no _communication_started": (
        "for name in ('__init__', 'communicate', '_communicate'):\n"
        "    setattr(subprocess.Popen, name, print)"
    ),
    "ProcessDispatcher has no process_list": (
        "import pytest_subprocess.process_dispatcher as it\ndel it.ProcessDispatcher.process_list"
    ),
    "pytest_subprocess.utils has no Command": (
        "import pytest_subprocess.utils as it\ndel it.Command"
    ),
}


def changed(change: str) -> str:
    """Write a conftest that changes something for the test alone: pytest's end uses Popen, too."""
    return f"""
import subprocess, pytest
@pytest.fixture(autouse=True)
def changed():
    before = dict(vars(subprocess.Popen))
{indent(change, "    ")}
    yield
    for name, was in before.items():
        if vars(subprocess.Popen).get(name) is not was:
            setattr(subprocess.Popen, name, was)
"""


@pytest.mark.parametrize("wrong", GONE)
def test_a_user_is_told_in_a_sentence_what_is_gone(pytester: pytest.Pytester, wrong: str) -> None:
    pytester.makeconftest(changed(GONE[wrong]))
    pytester.makepyfile("def test(fake_smolvm): pass")
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"fake_smolvm does not know *, whose {wrong}: take an older one*"])
    result.stdout.no_fnmatch_line("*AttributeError*")


@pytest.mark.parametrize(
    ("wrong", "change"),
    [
        ("has no _save_input", "del subprocess.Popen._save_input"),
        (
            "._execute_child takes other arguments",
            "subprocess.Popen._execute_child = lambda self, args: None",
        ),
    ],
)
def test_on_path_as_well(pytester: pytest.Pytester, wrong: str, change: str) -> None:
    pytester.makeconftest(changed(change))
    pytester.makepyfile("def test(smolvm): pass")
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"E * fake_smolvm does not know Python *, whose *{wrong}: *"])
