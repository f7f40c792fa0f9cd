"""What is used of CPython and pytest-subprocess that neither of them promises: checked at import.

Where one is gone, or takes other arguments, a user is told so in a sentence, once, instead of
meeting an AttributeError, or a call that is noted wrongly.
"""

from __future__ import annotations

import inspect
import platform
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType

_EXECUTE_CHILD = (
    "self, args, executable, preexec_fn, close_fds, pass_fds, cwd, env, startupinfo, creationflags,"
    " shell, p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite, restore_signals, gid, gids,"
    " uid, umask, start_new_session, process_group"
)


def check_popen(popen: type) -> None:
    """Raise ImportError if calls of smolvm cannot be noted where they are started."""
    whose = f"Python {platform.python_version()}"
    _check(popen, whose, "_execute_child", "_save_input")
    _check_attributes(popen, whose, "_input")
    parameters = inspect.signature(getattr(popen, "_execute_child")).parameters  # noqa: B009
    takes_all = any(it.kind is it.VAR_POSITIONAL for it in parameters.values())
    if not takes_all and ", ".join(parameters) != _EXECUTE_CHILD:
        raise _unknown(whose, f"{popen.__name__}._execute_child takes other arguments")


def check_in_process(popen: type, process_dispatcher: ModuleType, utils: ModuleType) -> None:
    """Raise ImportError if smolvm cannot be a thread of this process.

    Args:
        popen: The standard library's.
        process_dispatcher: The module of pytest-subprocess.
        utils: And another one.
    """
    whose = f"Python {platform.python_version()}"
    _check(popen, whose, "_child_created", "_close_pipe_fds", "_internal_poll", "_wait")
    _check_attributes(popen, whose, "_communication_started")
    whose = "this pytest-subprocess"
    _check(utils, whose, "Command")
    _check(process_dispatcher, whose, "FakePopenWrapper", "ProcessDispatcher")
    dispatcher = process_dispatcher.ProcessDispatcher
    _check(dispatcher, whose, "built_in_popen", "dispatch", "process_list")


def _check(owner: Any, whose: str, *names: str) -> None:
    for name in names:
        if not hasattr(owner, name):
            raise _unknown(whose, f"{owner.__name__} has no {name}")


def _check_attributes(owner: type, whose: str, *names: str) -> None:
    """Look for attributes of instances where the methods name them."""
    every = (one for base in owner.__mro__ for one in vars(base).values())
    named = {name for one in every for name in getattr(one, "__code__", _NO_CODE).co_names}
    for name in names:
        if name not in named:
            raise _unknown(whose, f"{owner.__name__} has no {name}")


_NO_CODE = compile("", "", "exec")


def _unknown(whose: str, wrong: str) -> ImportError:
    return ImportError(
        f"fake_smolvm does not know {whose}, whose {wrong}: "
        "take an older one, or a newer smolvm-wrapper"
    )
