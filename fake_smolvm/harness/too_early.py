"""Keeps `smolvm` from being started before the test's own is there: by what is set up before it."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from fake_smolvm.harness.session_folder import session_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

_on_path: list[str] = []
"""What `refusing` has put in front of PATH, and is to be taken away again."""


@contextmanager
def refusing(name: str, scope: str) -> Iterator[None]:
    """Have `smolvm` refuse while a wider fixture is set up for a test that is to have its own.

    Raises:
        pytest.fail.Exception: It was called all the same.
    """
    folder = session_folder()
    folder.refused.unlink(missing_ok=True)
    entry = f"{folder.bin}{os.pathsep}"
    got = ""
    with folder.idle():
        os.environ["PATH"] = entry + os.environ.get("PATH", "")
        _on_path.append(entry)
        try:
            yield
        except BaseException as error:
            if not folder.refused.exists() or isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            got = f"\n\nit got, as there was no smolvm yet: {error}"
        finally:
            lift()
    if folder.refused.exists():
        what, instead = _what_to_do(name, scope)
        text = (
            f"{what} started smolvm before the test's own was there (what belongs to one test is "
            f"set up after what belongs to its class, module or session): {instead}{got}"
        )
        raise pytest.fail.Exception(text, pytrace=False) from None


def lift() -> None:
    """Take from PATH what `refusing` has put there, and leave the rest as it is by now."""
    if _on_path:
        os.environ["PATH"] = os.environ.get("PATH", "").replace(_on_path.pop(), "", 1)


def _what_to_do(name: str, scope: str) -> tuple[str, str]:
    """Return what it is that starts smolvm too early, and what to write instead."""
    unittest = "cls.smolvm = cls.enterClassContext(fake_smolvm.sandbox())"
    kind, _, of = name.lstrip("_").partition("_fixture_")
    if kind == "unittest_setUpClass":
        return f"{of}.setUpClass", f"write `{unittest}` there"
    wider = "session" if scope == "package" else scope
    if kind in ("unittest_setUpModule", "xunit_setup_module", "xunit_setup_class"):
        what = f"{kind.partition('_')[2]} of {of}"
        return what, f"make it a fixture of scope {wider!r} that asks for `smolvm_{wider}`"
    return f"the fixture `{name}`", f"let it ask for `smolvm_{wider}`"
