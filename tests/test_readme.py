"""What the README shows runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
FIRST_TEST, WRAPPER = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


def test_the_first_test_passes(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(FIRST_TEST)
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_the_wrappers_example_runs(pytester: pytest.Pytester) -> None:
    body = "".join(f"    {line}\n" for line in WRAPPER.splitlines())
    pytester.makepyfile(f"def test_example(smolvm):\n{body}")
    pytester.runpytest_subprocess().assert_outcomes(passed=1)
