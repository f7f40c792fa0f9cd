"""Programs through which bytes flow, of any number; they end when they are told to."""

from __future__ import annotations

import errno
import os

from fake_smolvm.guest.bashkit.invocation import reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fake_smolvm.guest.bashkit.invocation import Command, Invocation

_CHUNK = 1 << 16
_UNITS = {"": 1, "c": 1, "w": 2, "b": 512, "k": 1024, "K": 1024, "M": 1 << 20, "G": 1 << 30}


def _true(_: Invocation) -> int:
    return 0


def _false(_: Invocation) -> int:
    return 1


def _echo(call: Invocation) -> int:
    words = call.argv[1:]
    if words and words[0] == "-n":
        call.out(" ".join(words[1:]).encode("utf-8", "surrogateescape"))
    else:
        call.say(" ".join(words))
    return 0


def _pwd(call: Invocation) -> int:
    call.say(call.cwd)
    return 0


def _env(call: Invocation) -> int:
    for name, value in call.env.items():
        call.say(f"{name}={value}")
    return 0


def _cat(call: Invocation) -> int:
    code = 0
    for name in call.argv[1:] or ["-"]:
        try:
            for chunk in _chunks(call, name):
                call.out(chunk)
        except OSError as error:
            reading = error.errno == errno.EISDIR
            doing = "read error" if reading else f"can't open '{name}'"
            code = call.complain(f"{doing}: {reason(call, error)}")
    return code


def _head(call: Invocation) -> int:
    count, files = head_size(call.argv)
    code = 0
    for name in files or ["-"]:
        left = count
        try:
            for chunk in _chunks(call, name):
                call.out(chunk[:left])
                left -= len(chunk)
                if left <= 0:
                    break
        except OSError as error:
            code = call.complain(f"{name}: {reason(call, error)}")
    return code


def head_size(argv: Sequence[str]) -> tuple[int, list[str]]:
    """Read `-c N FILE…` or `-cN FILE…`; raises ValueError for all else."""
    if argv[1] == "-c":
        return _size(argv[2]), list(argv[3:])
    if argv[1].startswith("-c"):
        return _size(argv[1][2:]), list(argv[2:])
    raise ValueError(argv[1])


def _seq(call: Invocation) -> int:
    words = list(call.argv[1:])
    separator, padded = "\n", False
    while words and words[0][:2] in ("-s", "-w"):
        option = words.pop(0)
        if option.startswith("-s"):
            separator = option[2:] or words.pop(0)
        padded = padded or option == "-w"
    try:
        numbers = [int(word) for word in words]
        first = numbers[0] if len(numbers) > 1 else 1
        step = numbers[1] if len(numbers) > 2 else 1  # noqa: PLR2004
        span = range(first, numbers[-1] + (1 if step > 0 else -1), step)
    except (ValueError, IndexError):
        return call.complain(f"invalid number '{words[-1] if words else ''}'")
    width = max(len(str(span[0])), len(str(span[-1]))) if padded and span else 0
    row: list[str] = []
    for number in span:
        row.append(f"{number:0{width}}")
        if len(row) == 8192:  # noqa: PLR2004
            call.out((separator.join(row) + separator).encode())
            row.clear()
    if span:
        call.say(separator.join(row))
    return 0


def _sleep(call: Invocation) -> int:
    seconds = 0.0
    for word in call.argv[1:]:
        if word in ("inf", "infinity"):
            call.wait(None)
        unit = word[-1:] if word[-1:] in "smhd" else "s"
        try:
            seconds += float(word.rstrip("smhd")) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[unit]
        except ValueError:
            return call.complain(f"invalid number '{word}'")
    call.wait(seconds)
    return 0


def _yes(call: Invocation) -> int:
    line = (" ".join(call.argv[1:]) or "y").encode("utf-8", "surrogateescape") + b"\n"
    block = line * (1 + _CHUNK // len(line))
    while True:
        call.out(block)


def _dd(call: Invocation) -> int:
    words = dict(word.split("=", 1) for word in call.argv[1:])
    size = _size(words.get("bs", "512"))
    limit = size * int(words["count"]) if "count" in words else None
    target = words.get("of")
    doing = f"can't open '{target}'"
    total, file = 0, -1
    try:
        if target is not None:
            truncate = 0 if words.get("conv") == "notrunc" else os.O_TRUNC
            file = call.open(target, os.O_WRONLY | os.O_CREAT | truncate)
            doing = "write error"
        source = words.get("if", "-")
        if source == "/dev/zero" and file >= 0:
            total = _zeros(call, file, limit)  # Holes read as zeros.
        else:
            for chunk in _chunks(call, source):
                kept = chunk if limit is None else chunk[: limit - total]
                if file >= 0:
                    _room_for(call, total + len(kept))
                    os.write(file, kept)
                else:
                    call.out(kept)
                total += len(kept)
                if limit is not None and total >= limit:
                    break
    except OSError as error:
        return call.complain(f"{doing}: {reason(call, error)}")
    finally:
        if file >= 0:
            os.close(file)
    if words.get("status") not in ("none", "noxfer"):
        records = f"{total // size}+{int(total % size > 0)}"
        call.stderr(
            f"{records} records in\n{records} records out\n"
            f"{total} bytes ({readable(total)}) copied, 0.001000 seconds\n".encode()
        )
    return 0


def _zeros(call: Invocation, file: int, limit: int | None) -> int:
    disk = _disk_size(call)
    os.truncate(file, disk if limit is None else min(limit, disk))
    _room_for(call, disk + 1 if limit is None else limit)
    return limit or 0


def _room_for(call: Invocation, size: int) -> None:
    """Raise OSError (ENOSPC) for a file that a disk of the machine has no room for."""
    if size > _disk_size(call):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _disk_size(call: Invocation) -> int:
    """Return the bytes of the larger of a machine's disks."""
    return max(call.guest.overlay_gib, call.guest.storage_gib) << 30


def _chunks(call: Invocation, name: str) -> Iterator[bytes]:
    """Give the content of a file, of a device, or ("-") of stdin."""
    if name in ("-", "/dev/stdin"):
        while data := call.read(_CHUNK):
            yield data
    elif name in ("/dev/zero", "/dev/urandom", "/dev/random"):
        while True:
            yield bytes(_CHUNK) if name == "/dev/zero" else os.urandom(_CHUNK)
    elif name != "/dev/null":
        file = call.open(name, os.O_RDONLY)
        try:
            while data := os.read(file, _CHUNK):
                yield data
        finally:
            os.close(file)


def _size(text: str) -> int:
    digits = text.rstrip("cwbkKMGB")
    return int(digits) * _UNITS[text[len(digits) :].rstrip("B") or ""]


def readable(size: float, *, short: bool = False) -> str:
    """Return a number of bytes as people read it."""
    """Return a number of bytes as people read it."""
    for unit in ("", "K", "M", "G"):
        if size < 1024 or unit == "G":  # noqa: PLR2004
            break
        size /= 1024
    return f"{size:.1f}{unit}" + ("" if short or not unit else "B")


PROGRAMS: dict[str, Command] = {
    "cat": _cat,
    "dd": _dd,
    "echo": _echo,
    "env": _env,
    "false": _false,
    "head": _head,
    "printenv": _env,
    "pwd": _pwd,
    "seq": _seq,
    "sleep": _sleep,
    "true": _true,
    "yes": _yes,
}
