"""In process, while a debugger or coverage traces every line."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def test_a_call_that_hangs_can_be_killed(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import subprocess, sys

        def traced(*_):
            return traced

        def test(fake_smolvm):
            fake_smolvm.hang("machine ls")
            sys.settrace(traced)
            try:
                process = subprocess.Popen(["smolvm", "machine", "ls"])
                process.kill()
                assert process.wait() == -9
            finally:
                sys.settrace(None)
    """)
    pytester.runpytest_subprocess(timeout=120).assert_outcomes(passed=1)
