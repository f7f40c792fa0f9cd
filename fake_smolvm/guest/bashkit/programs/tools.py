"""Small tools of a guest that the shell library lacks."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from fake_smolvm.guest.bashkit.invocation import Command, Invocation

_MOST_DIGITS = 1000


def _nc(call: Invocation) -> int:
    from fake_smolvm.guest.bashkit.programs.refusals import not_emulated

    words = [word for word in call.argv[1:] if not word.startswith("-")]
    if any(word.startswith("-") and "l" in word for word in call.argv[1:]) or not words:
        return not_emulated(call)
    call.guest.reach(call.argv, words[0])
    return 1  # Nobody listens, and busybox says nothing of it.


def _lsof(call: Invocation) -> int:
    for pid, line in call.guest.process_lines(" ".join(call.argv)):
        if not line.startswith("["):
            call.say(f"{pid}\t{line.split()[0]}\t/dev/null")
    return 0


def _getopt(call: Invocation) -> int:
    words = list(call.argv[1:])
    if words[:1] == ["-o"] and len(words) > 1:
        short, words = words[1], words[2:]
    elif words and not words[0].startswith("-"):
        short, words = words[0], words[1:]
    else:
        from fake_smolvm.guest.bashkit.programs.refusals import not_emulated

        return not_emulated(call)
    if words[:1] == ["--"]:
        words = words[1:]
    flags, names, code = _options(call, short, words)
    call.say("".join([f" {flag}" for flag in flags]) + " --" + "".join(map(_in_quotes, names)))
    return code


def _options(call: Invocation, short: str, words: list[str]) -> tuple[list[str], list[str], int]:
    """Return the options, each value in quotes, the other words, and the exit code."""
    flags: list[str] = []
    names: list[str] = []
    code = 0
    rest = iter(words)
    for word in rest:
        if word == "--":
            names += rest
            break
        if not word.startswith("-") or word == "-":
            names.append(word)
            continue
        for at, letter in enumerate(word[1:], 1):
            place = short.find(letter)
            if place < 0 or letter == ":":
                code = call.complain(f"unrecognized option: {letter}")
                continue
            flags.append(f"-{letter}")
            if short[place + 1 : place + 2] == ":":
                value = word[at + 1 :] or next(rest, None)
                if value is None:
                    code = call.complain(f"option requires an argument: {letter}")
                else:
                    flags.append(_in_quotes(value).strip())
                break
    return flags, names, code


def _in_quotes(word: str) -> str:
    return " '" + word.replace("'", "'\\''") + "'"


def _dc(call: Invocation) -> int:
    """Be a calculator of whole numbers in reverse Polish notation."""
    words = list(call.argv[1:])
    if words[:1] == ["-e"]:
        text = " ".join(words[1:])
    elif words:
        from fake_smolvm.guest.bashkit.programs.refusals import not_emulated

        return not_emulated(call)
    else:
        text = b"".join(iter(lambda: call.read(1 << 16), b"")).decode(errors="replace")
    for sign in "+-*/%^pqf":
        text = text.replace(sign, f" {sign} ")
    stack: list[int] = []
    for word in text.split():
        if word == "q":
            break
        code = _step(call, word, stack)
        if code:
            return code
    return 0


def _step(call: Invocation, word: str, stack: list[int]) -> int:
    """Do what one word of a calculation says; return the exit code, 0 to go on."""
    if word == "p":
        call.say(str(stack[-1])) if stack else call.complain("stack empty")
    elif word == "f":
        for number in reversed(stack):
            call.say(str(number))
    elif word.lstrip("_").isdigit() and len(word) <= _MOST_DIGITS:
        stack.append(int(word.replace("_", "-")))
    elif word in _SUMS and len(stack) > 1:
        second, first = stack.pop(), stack.pop()
        try:
            stack.append(_SUMS[word](first, second))
        except ArithmeticError:
            return call.complain("divide by zero")
    else:
        call.stderr(f"fake_smolvm: its 'dc' does not know {word!r}\n".encode())
        return 1
    return 0


def _power(first: int, second: int) -> int:
    if second < 0 or first.bit_length() * second > _MOST_DIGITS:
        raise OverflowError
    return int(first**second)


def _divide(first: int, second: int) -> int:
    whole = abs(first) // abs(second)
    return whole if (first < 0) == (second < 0) else -whole


_SUMS: dict[str, Callable[[int, int], int]] = {
    "+": lambda first, second: first + second,
    "-": lambda first, second: first - second,
    "*": lambda first, second: first * second,
    "/": _divide,
    "%": lambda first, second: first - second * _divide(first, second),
    "^": _power,
}

PROGRAMS: dict[str, Command] = {"dc": _dc, "getopt": _getopt, "lsof": _lsof, "nc": _nc}
