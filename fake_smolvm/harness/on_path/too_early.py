"""Keeps a test's smolvm from being missed: by what is set up before it, or torn down after it.

A fixture of a class or module, `setUpClass`, `setup_method`, and whatever else is set up before the
test's own smolvm, would meet a real one, in the real HOME, where there is one. So would their ends.
While such a test lasts, a `smolvm` that refuses stands first on PATH wherever its own does not.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from fake_smolvm.harness.on_path.session_folder import session_folder

if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import NoReturn


def begin(*, has_lives: bool) -> None:
    """Put the refusing smolvm on PATH; where the test's own `has_lives` already, that one stays."""
    folder = session_folder()
    folder.refused.unlink(missing_ok=True)
    if not has_lives:
        folder.begin_idle()
    if _entries()[:1] != [str(folder.bin)]:
        os.environ["PATH"] = os.pathsep.join([str(folder.bin), *_entries()])


def end(*, has_lives: bool) -> str | None:
    """Take it away again, unless something else on PATH `has_lives`; return who called it."""
    folder = session_folder()
    folder.end_idle()
    if not has_lives:
        os.environ["PATH"] = os.pathsep.join(one for one in _entries() if one != str(folder.bin))
    if not folder.refused.exists():
        return None
    return (
        "what is torn down after this test's smolvm (tearDownClass, teardown_method, the end of a "
        "fixture that was set up before it) started smolvm when that was gone already: let it ask "
        "for `smolvm`, or for one that lives longer (`smolvm_class`, `smolvm_module`, "
        "`smolvm_session`, `with fake_smolvm.sandbox()`)"
    )


def checked(name: str, scope: str) -> Generator[None, object, object]:
    """Wrap the setup of a fixture; fail if that called the refusing smolvm."""
    __tracebackhide__ = True
    refused = session_folder().refused
    got = ""
    try:
        result = yield
    except BaseException as error:
        if not refused.exists() or isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        got = f"\n\nit got, as there was no smolvm yet: {error}"
    else:
        if not refused.exists():
            return result
    refused.unlink()
    what, instead = _what_to_do(name, scope)
    text = (
        f"{what} started smolvm before the test's own was there (what belongs to one test is set "
        f"up after what belongs to its class, module or session): {instead}{got}"
    )
    return _failed(text)


def _failed(text: str) -> NoReturn:
    # Not by pytest.fail, which is hidden: pytest says so where all of a traceback is.
    raise pytest.fail.Exception(text, pytrace=False) from None


def _entries() -> list[str]:
    path = os.environ.get("PATH", "")
    return path.split(os.pathsep) if path else []


def _what_to_do(name: str, scope: str) -> tuple[str, str]:
    """Return what it is that starts smolvm too early, and what to write instead."""
    wider = {"function": "smolvm", "package": "smolvm_session"}.get(scope, f"smolvm_{scope}")
    kind, is_xunit, of = name.lstrip("_").partition("_fixture_")
    if kind == "unittest_setUpClass":
        instead = "write `cls.smolvm = cls.enterClassContext(fake_smolvm.sandbox())` there"
        return f"{of}.setUpClass", instead
    if is_xunit and kind.startswith(("xunit_", "unittest_")):
        what = f"{kind.partition('_')[2]} of {of}"
        return what, f"make it a fixture of scope {scope!r} that asks for `{wider}`"
    return f"the fixture `{name}`", f"let it ask for `{wider}`"
