"""`ln`."""

from __future__ import annotations

import os

from fake_smolvm.guest.bashkit.invocation import reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fake_smolvm.guest.bashkit.invocation import Command, Invocation


def _ln(call: Invocation) -> int:
    flags = "".join(word[1:] for word in call.argv[1:] if word.startswith("-"))
    names = [word for word in call.argv[1:] if not word.startswith("-")]
    if not names:
        return call.complain("missing file operand")
    *targets, place = names if len(names) > 1 else [names[0], "."]
    code = 0
    for target in targets:
        try:
            _link(call, flags, target, place)
        except OSError as error:
            code = call.complain(f"{place}: {reason(call, error)}")
    return code


def _link(call: Invocation, flags: str, target: str, place: str) -> None:
    tree = call.guest.tree
    link = call.path(place)
    with tree.place(link, follow="n" not in flags) as found:
        if found.is_folder():
            link = os.path.join(link, os.path.basename(target))
    if "s" not in flags:
        with tree.place(call.path(target), follow=False) as there:
            there.stat()
    if "f" in flags:
        with tree.place(link, follow=False) as old:
            try:
                old.remove()
            except FileNotFoundError:
                pass
    if "s" in flags:
        tree.symlink(target, link)
    else:
        tree.link(call.path(target), link)


PROGRAMS: dict[str, Command] = {"ln": _ln}
