"""Commands that change files, for guests with volumes: the shell library's do not keep a mount.

There `rm -f` is silent about what it may not remove, the folder of a volume itself can be removed,
a folder cannot be moved into one, and `tee` ends the whole script. Words are busybox's.
"""

from __future__ import annotations

import errno
import os
from stat import S_IMODE, S_ISDIR, S_ISREG

from fake_smolvm.guest.bashkit.invocation import reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    from fake_smolvm.guest.bashkit.invocation import Command, Invocation

    _Do: TypeAlias = Callable[[Invocation, str, str, str], int]

_CHUNK = 1 << 16
_DEEPEST = 200
"""Folders in folders that are copied; a path that is deeper is refused, as too long a name is."""
_TOO_LONG = OSError(errno.ENAMETOOLONG, "")


def _rm(call: Invocation) -> int:
    flags, names = _words(call.argv)
    force, recursive = "f" in flags, bool(set(flags) & set("rR"))
    if not names and not force:
        return call.complain("missing operand")
    code = 0
    for name in names:
        if os.path.basename(name.rstrip("/")) in (".", ".."):
            code = call.complain("can't remove '.' or '..'")
        elif not name.strip("/"):
            code = call.complain("can't remove '/'")
        else:
            code |= _remove(call, name.rstrip("/"), force=force, recursive=recursive)
    return code


def _remove(call: Invocation, name: str, *, force: bool, recursive: bool, depth: int = 0) -> int:
    """Remove a file, or a folder and what is in it; return the exit code."""
    code = 0
    try:
        with call.guest.tree.place(call.path(name), follow=False) as place:
            if not S_ISDIR(place.stat().st_mode):
                place.remove()
                return 0
            if not recursive:
                return call.complain(f"'{name}' is a directory")
            inside = place.names() if depth < _DEEPEST else []
        for entry in inside:
            code |= _remove(call, f"{name}/{entry}", force=True, recursive=True, depth=depth + 1)
        with call.guest.tree.place(call.path(name), follow=False) as place:
            if depth == _DEEPEST:
                place.remove_tree()
            else:
                place.remove()
    except OSError as error:
        if not (force and error.errno in (errno.ENOENT, errno.ENOTDIR)):
            return call.complain(f"can't remove '{name}': {reason(call, error)}")
    return code


def _rmdir(call: Invocation) -> int:
    flags, names = _words(call.argv)
    code = 0
    for name in names:
        while name.strip("/"):
            try:
                with call.guest.tree.place(call.path(name), follow=False) as place:
                    place.rmdir()
            except OSError as error:
                code = call.complain(f"'{name}': {reason(call, error)}")
                break
            if "p" not in flags:
                break
            name = os.path.dirname(name.rstrip("/"))  # noqa: PLW2901
    return code


def _mv(call: Invocation) -> int:
    flags, names = _words(call.argv)
    return _each(call, flags, names, _move)


def _move(call: Invocation, flags: str, name: str, place: str) -> int:
    if "n" in flags and _exists(call, place):
        return 0
    try:
        call.guest.tree.rename(call.path(name.rstrip("/")), call.path(place.rstrip("/")))
    except OSError as error:
        if error.errno != errno.EXDEV:
            return call.complain(f"can't rename '{name}': {reason(call, error)}")
        if _is_mount(call, name):
            return call.complain(f"can't rename '{name}': {reason(call, OSError(errno.EBUSY, ''))}")
        code = _copy_to(call, "adpRf", name, place)
        return code or _remove(call, name.rstrip("/"), force=True, recursive=True)
    return 0


def _cp(call: Invocation) -> int:
    flags, names = _words(call.argv)
    return _each(call, flags.replace("a", "dpR").replace("r", "R"), names, _copy_to)


def _each(call: Invocation, flags: str, names: list[str], do: _Do) -> int:
    """Copy or move each name but the last to the last, or into it."""
    if len(names) < 2:  # noqa: PLR2004
        return call.complain("missing operand")
    *sources, last = names
    into = "T" not in flags and _is_folder(call, last)
    if len(sources) > 1 and not into:
        return call.complain(f"target '{last}' is not a directory")
    code = 0
    for source in sources:
        place = f"{last.rstrip('/')}/{os.path.basename(source.rstrip('/'))}" if into else last
        code |= do(call, flags, source, place)
    return code


def _copy_to(call: Invocation, flags: str, name: str, place: str) -> int:
    """Copy a file, link or folder; return the exit code."""
    return _Copy(call, flags, top=os.path.normpath(call.path(place))).run(name, place)


class _Copy:
    """One copy, of whatever is in a folder too."""

    def __init__(self, call: Invocation, flags: str, *, top: str) -> None:
        self._call = call
        self._flags = flags
        self._top = top
        """Where the copy is; it is no part of itself."""

    def run(self, name: str, place: str, depth: int = 0) -> int:
        """Copy `name` to `place`; return the exit code."""
        call, flags = self._call, self._flags
        follow = "L" in flags or not set(flags) & set("dPR")
        try:
            with call.guest.tree.place(call.path(name), follow=follow) as source:
                found, target = source.stat(), source.target()
        except OSError as error:
            return call.complain(f"can't stat '{name}': {reason(call, error)}")
        if S_ISDIR(found.st_mode):
            return self._folder(name, place, found, depth)
        if "n" in flags and _exists(call, place):
            return 0
        if target is not None:
            return _copy_link(call, target, place)
        if not S_ISREG(found.st_mode):
            call.stderr(f"fake_smolvm: cp: it copies no such file: {name}\n".encode())
            return 1
        return _copy_file(call, name, place, found, keep="p" in flags)

    def _folder(self, name: str, place: str, found: os.stat_result, depth: int) -> int:
        call = self._call
        if "R" not in self._flags:
            return call.complain(f"omitting directory '{name}'")
        if f"{self._top}/".startswith(f"{os.path.normpath(call.path(name))}/"):
            return call.complain(f"recursion detected, omitting directory '{name}'")
        code = _make_folder(call, place, S_IMODE(found.st_mode))
        if code:
            return code
        try:
            if depth == _DEEPEST:
                raise _TOO_LONG
            with call.guest.tree.place(call.path(name)) as source:
                inside = source.names()
        except OSError as error:
            return call.complain(f"can't open '{name}': {reason(call, error)}")
        for entry in inside:
            code |= self.run(f"{name}/{entry}", f"{place}/{entry}", depth + 1)
        return code


def _make_folder(call: Invocation, name: str, mode: int) -> int:
    try:
        with call.guest.tree.place(call.path(name)) as place:
            if not place.is_folder():
                place.mkdir(mode | 0o700)
    except OSError as error:
        return call.complain(f"can't create directory '{name}': {reason(call, error)}")
    return 0


def _copy_link(call: Invocation, target: str, name: str) -> int:
    try:
        with call.guest.tree.place(call.path(name), follow=False) as place:
            try:
                place.remove()
            except FileNotFoundError:
                pass
        call.guest.tree.symlink(target, call.path(name))
    except OSError as error:
        return call.complain(f"can't create symlink '{name}': {reason(call, error)}")
    return 0


def _copy_file(
    call: Invocation, name: str, place: str, found: os.stat_result, *, keep: bool
) -> int:
    doing = f"can't open '{name}'"
    try:
        reading = call.open(name, os.O_RDONLY)
        try:
            doing = f"can't create '{place}'"
            if _same(call, place, found):
                return call.complain(f"'{name}' and '{place}' are the same file")
            mode = S_IMODE(found.st_mode)
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            writing = call.guest.tree.open(call.path(place), flags, mode)
            try:
                doing = "write error"
                while data := os.read(reading, _CHUNK):
                    _write_all(writing, data)
                if keep:
                    os.fchmod(writing, mode)
                    os.utime(writing, ns=(found.st_atime_ns, found.st_mtime_ns))
            finally:
                os.close(writing)
        finally:
            os.close(reading)
    except OSError as error:
        return call.complain(f"{doing}: {reason(call, error)}")
    return 0


def _chown(call: Invocation) -> int:
    _, names = _words(call.argv)
    code = 0
    for name in names[1:]:
        try:
            with call.guest.tree.place(call.path(name)) as place:
                place.stat()
                place.check_writable()
        except OSError as error:
            code = call.complain(f"{name}: {reason(call, error)}")
    return code


def _tee(call: Invocation) -> int:
    flags, names = _words(call.argv)
    how = os.O_APPEND if "a" in flags else os.O_TRUNC
    files: list[int] = []
    code = 0
    try:
        for name in names:
            try:
                files.append(call.open(name, os.O_WRONLY | os.O_CREAT | how))
            except OSError as error:
                code = call.complain(f"{name}: {reason(call, error)}")
        while data := call.read(_CHUNK):
            call.out(data)
            for file in files:
                _write_all(file, data)
    except OSError as error:
        code = call.complain(f"write error: {reason(call, error)}")
    finally:
        for file in files:
            os.close(file)
    return code


def _words(argv: Sequence[str]) -> tuple[str, list[str]]:
    """Return the letters of the options, and what is no option."""
    flags, names = "", []
    ended = False
    for word in argv[1:]:
        if word == "--" and not ended:
            ended = True
        elif word.startswith("-") and word != "-" and not ended:
            flags += word[1:] if not word.startswith("--") else _LONG.get(word, "")
        else:
            names.append(word)
    return flags, names


_LONG = {"--recursive": "R", "--force": "f", "--parents": "p", "--append": "a", "--archive": "a"}


def _exists(call: Invocation, name: str) -> bool:
    try:
        with call.guest.tree.place(call.path(name), follow=False) as place:
            place.stat()
    except OSError:
        return False
    return True


def _is_folder(call: Invocation, name: str) -> bool:
    try:
        with call.guest.tree.place(call.path(name)) as place:
            return place.is_folder()
    except OSError:
        return False


def _is_mount(call: Invocation, name: str) -> bool:
    return call.guest.tree.is_mount(call.path(name))


def _same(call: Invocation, name: str, found: os.stat_result) -> bool:
    try:
        with call.guest.tree.place(call.path(name)) as place:
            return os.path.samestat(place.stat(), found)
    except OSError:
        return False


def _write_all(file: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]


PROGRAMS: dict[str, Command] = {
    "chgrp": _chown,
    "chown": _chown,
    "cp": _cp,
    "mv": _mv,
    "rm": _rm,
    "rmdir": _rmdir,
    "tee": _tee,
}
