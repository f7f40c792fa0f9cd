"""Commands of the guest that the shell library lacks, or has in a way that no guest has.

Each takes an `Invocation` and gives an exit code. Those in `STREAMING` run without any shell when
they are the whole command: their input and output flow, of any size, and they end when they are
told to. Those in `SYSTEM` tell what the machine is; scripts meet them too.
"""

from __future__ import annotations

import errno
import os

from fake_smolvm import variables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import TypeAlias

    from fake_smolvm.machines.guest import Guest

    Command: TypeAlias = Callable[["Invocation"], int]

_CHUNK = 1 << 16
_UNITS = {"": 1, "c": 1, "w": 2, "b": 512, "k": 1024, "K": 1024, "M": 1 << 20, "G": 1 << 30}


class Stopped(Exception):  # noqa: N818 - not an error
    """The command was told to end."""


class Invocation:
    """One command being run: what it was given, and where its output goes."""

    __slots__ = ("argv", "cwd", "env", "guest", "out", "read", "stderr", "wait")

    def __init__(
        self,
        guest: Guest,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: str,
        read: Callable[[int], bytes],
        out: Callable[[bytes], None],
        stderr: Callable[[bytes], None],
        wait: Callable[[float | None], None],
    ) -> None:
        self.guest = guest
        self.argv = argv
        self.env = env
        self.cwd = cwd
        self.read = read
        """Gives at most so many bytes of stdin; none at its end."""
        self.out = out
        self.stderr = stderr
        self.wait = wait
        """Sleeps so many seconds, or for ever; raises Stopped when the command is to end."""

    def say(self, text: str) -> None:
        """Write a line to stdout."""
        self.out(text.encode("utf-8", "surrogateescape") + b"\n")

    def complain(self, text: str) -> int:
        """Write a line to stderr, with the command's name before it; give exit code 1."""
        line = f"{self.argv[0].rpartition('/')[2]}: {text}\n"
        self.stderr(line.encode("utf-8", "surrogateescape"))
        return 1

    def path(self, path: str) -> str:
        """Return the absolute guest path of one that may be relative."""
        return os.path.join(self.cwd, path)

    def open(self, path: str, flags: int) -> int:
        """Open a file of the guest's; return its descriptor. Raise OSError."""
        return self.guest.tree.open(self.path(path), flags)

    def save(self, path: str, content: bytes) -> None:
        """Put a content into a file of the guest's, whatever was in it; raise OSError."""
        file = self.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        with open(file, "wb", buffering=0) as stream:
            stream.write(content)


def reason(call: Invocation, error: OSError) -> str:
    """Return why something failed, in the words of the guest's C library."""
    number = error.errno or 0
    text = os.strerror(number)
    return text if call.guest.identity.has_bash else _MUSL.get(number, text)


_MUSL = {
    errno.EBUSY: "Resource busy",
    errno.ELOOP: "Symbolic link loop",
    errno.EMFILE: "No file descriptors available",
    errno.ENAMETOOLONG: "Filename too long",
    errno.EXDEV: "Cross-device link",
}


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
    count, files = _head_size(call.argv)
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


def _head_size(argv: Sequence[str]) -> tuple[int, list[str]]:
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
            f"{total} bytes ({_readable(total)}) copied, 0.001000 seconds\n".encode()
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


def _power(call: Invocation) -> int:
    # The agent is gone, the VM process is not, and the client waits for an answer (vm.jsonl, part
    # b).
    call.guest.go_silent()
    call.wait(None)
    return 0


def _id(call: Invocation) -> int:
    flags = "".join(word[1:] for word in call.argv[1:] if word.startswith("-"))
    user = call.guest.user
    name = "root" if user == 0 else str(user)
    if not flags:
        shown = f"{user}({name})" if user == 0 else name
        groups = f" groups={shown}" if call.guest.identity.has_bash else ""
        call.say(f"uid={shown} gid={shown}{groups}")
    else:
        call.say(name if "n" in flags else str(user))
    return 0


def _hostname(call: Invocation) -> int:
    call.say(call.guest.hostname)
    return 0


def _uname(call: Invocation) -> int:
    flags = "".join(word[1:] for word in call.argv[1:]) or "s"
    machine = os.uname().machine
    machine = "aarch64" if machine == "arm64" else machine
    system = "GNU/Linux" if call.guest.identity.has_bash else "Linux"
    parts = {
        "s": "Linux",
        "n": call.guest.hostname,
        "r": "6.12.76",
        "v": "#1 SMP PREEMPT_DYNAMIC",
        "m": machine,
        "o": system,
    }
    known = parts.items()
    call.say(" ".join(text for flag, text in known if flag in flags or "a" in flags))
    return 0


def _nproc(call: Invocation) -> int:
    call.say(str(call.guest.cpus))
    return 0


def _mount(call: Invocation) -> int:
    if len(call.argv) > 1:
        return 0
    for line in _MOUNTS.splitlines():
        call.say(line)
    for number, (_, guest, read_only) in enumerate(call.guest.mounts):
        mode = "ro" if read_only else "rw"
        call.say(f"smolvm{number} on {guest} type virtiofs ({mode},relatime)")
    return 0


_MOUNTS = """\
/dev/root on /oldroot type virtiofs (rw,relatime)
devtmpfs on /dev type devtmpfs (rw,relatime,mode=755)
proc on /proc type proc (rw,nosuid,nodev,noexec,relatime)
sysfs on /sys type sysfs (rw,nosuid,nodev,noexec,relatime)
cgroup2 on /sys/fs/cgroup type cgroup2 (rw,nosuid,nodev,noexec,relatime)
devpts on /dev/pts type devpts (rw,nosuid,noexec,relatime,mode=600,ptmxmode=000)
tmpfs on /dev/shm type tmpfs (rw,nosuid,noexec,relatime)
/dev/vdb on /oldroot/mnt/overlay type ext4 (rw,noatime)
/dev/vda on /storage type ext4 (rw,noatime)
overlay on / type overlay (rw,relatime,lowerdir=/,upperdir=/mnt/overlay/upper)
"""


def _df(call: Invocation) -> int:
    unit = 1 << 20 if any(word in ("-m", "-BM") for word in call.argv) else 1024
    human = any(word.startswith("-") and "h" in word for word in call.argv[1:])
    wanted = [word for word in call.argv[1:] if not word.startswith("-")]
    disks = (
        ("/dev/vdb", "/oldroot/mnt/overlay", call.guest.overlay_gib),
        ("/dev/vda", "/storage", call.guest.storage_gib),
        ("overlay", "/", call.guest.overlay_gib),
    )
    shown = "Size" if human else ("1M-blocks" if unit > 1024 else "1K-blocks")  # noqa: PLR2004
    call.say(f"Filesystem           {shown:>10}      Used Available Use% Mounted on")
    for device, place, gib in disks:
        if wanted and place not in wanted:
            continue
        size, used = int(gib * (1 << 30) * 0.98), 64 << 10
        numbers = [
            _readable(number, short=True) if human else str(number // unit)
            for number in (size, used, size - used)
        ]
        call.say("{:<20} {:>10} {:>9} {:>9}   0% {}".format(device, *numbers, place))
    return 0


def _free(call: Invocation) -> int:
    unit = 1 if "-m" in call.argv else 1 << 10
    total, used = call.guest.memory_mib * unit, 18 * unit
    call.say("              total        used        free      shared  buff/cache   available")
    row = (total, used, total - used - 13 * unit, 3 * unit, 13 * unit, total - used - 10 * unit)
    call.say("Mem:   " + "".join(f"{number:>12}" for number in row))
    call.say(f"Swap:  {0:>12}{0:>12}{0:>12}")
    return 0


def _ps(call: Invocation) -> int:
    call.say("PID   USER     TIME  COMMAND")
    for pid, line in call.guest.process_lines(" ".join(call.argv)):
        call.say(f"{pid:>5} root      0:00 {line}")
    return 0


def _ip(call: Invocation) -> int:
    for line in _INTERFACES.splitlines():
        call.say(line)
    return 0


_INTERFACES = """\
1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN qlen 1000
    link/loopback 00:00:00:00:00:00 brd 00:00:00:00:00:00
    inet 127.0.0.1/8 scope host lo
       valid_lft forever preferred_lft forever
    inet6 ::1/128 scope host
       valid_lft forever preferred_lft forever
2: dummy0: <BROADCAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UNKNOWN qlen 1000
    link/ether 1a:6b:b6:e9:22:53 brd ff:ff:ff:ff:ff:ff
    inet 203.0.113.1/24 brd 203.0.113.255 scope global dummy0
       valid_lft forever preferred_lft forever
"""


def _which(call: Invocation) -> int:
    code = 0
    for name in call.argv[1:]:
        found = call.guest.find_command(name, call.env.get("PATH", ""))
        if found is None:
            code = 1
        else:
            call.say(found)
    return code


def command_v(call: Invocation) -> int:
    """Be `command -v`."""
    code = 0
    for name in call.argv[1:]:
        found = name if name in SHELL_WORDS else None
        found = found or call.guest.find_command(name, call.env.get("PATH", ""))
        if found is None:
            code = 127
        else:
            call.say(found)
    return code


def type_of(call: Invocation) -> int:
    """Be `type`."""
    code = 0
    for name in call.argv[1:]:
        found = call.guest.find_command(name, call.env.get("PATH", ""))
        if name in SHELL_WORDS:
            call.say(f"{name} is a shell builtin")
        elif found is None:
            code = 127
            call.say(f"{name}: not found")
        else:
            call.say(f"{name} is {found}")
    return code


_SHELL_WORDS_TEXT = """
alias break builtin case cd command continue declare do done echo elif else esac eval exec exit
export false fi for function getopts if in jobs local printf read readonly return select set shift
source test then time trap true type ulimit umask unset until wait while
"""
SHELL_WORDS = frozenset(_SHELL_WORDS_TEXT.split())
"""What a shell knows without looking for a file."""


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


def _wget(call: Invocation) -> int:
    url, output = _wget_words(call.argv)
    host = _host_of(url)
    failure, answer = call.guest.fetch(call.argv, url, host)
    if failure in _UNANSWERED:
        return _unanswered(call, host, url)
    status = int(answer.get("status", 200))
    if failure == "unresolved":
        failed = f"bad address '{host}'"
    elif failure is not None:
        failed = f"can't connect to remote host ({host}): {failure}"
    elif status >= 400:  # noqa: PLR2004
        failed = f"server returned error: HTTP/1.1 {status}"
    else:
        body = str(answer.get("body", "")).encode()
        return _wget_answer(call, body, output or url.rpartition("/")[2] or "index.html")
    return call.complain(failed)


def _wget_answer(call: Invocation, body: bytes, output: str) -> int:
    if output == "-":
        call.out(body)
        return 0
    try:
        call.save(output, body)
    except OSError as error:
        return call.complain(f"can't open '{output}': {reason(call, error)}")
    return 0


def _wget_words(argv: Sequence[str]) -> tuple[str, str | None]:
    """Give the URL and the file that a `wget` is about."""
    words = list(argv[1:])
    output: str | None = None
    url = ""
    while words:
        word = words.pop(0)
        if word in ("-O", "-T", "-t", "-P", "-U", "--timeout", "--header", "--post-data"):
            value = words.pop(0) if words else ""
            output = value if word == "-O" else output
        elif word.startswith("-") and "O" in word and not word.startswith("--"):
            output = word.partition("O")[2] or (words.pop(0) if words else "")
        elif not word.startswith("-"):
            url = word
    return url if "://" in url else f"http://{url}", output


def _curl(call: Invocation) -> int:
    words = list(call.argv[1:])
    if words in (["--version"], ["-V"]):
        call.say("curl 8.9.1 (fake_smolvm)")
        return 0
    flags, output, url = "", None, ""
    while words:
        word = words.pop(0)
        if word in ("-o", "--output"):
            output = words.pop(0)
        elif word in ("-X", "-H", "-d", "-m", "-u", "-A", "-w", "--max-time", "--connect-timeout"):
            words.pop(0)
        elif word.startswith("-"):
            flags += "f" if word == "--fail" else word[1:]
        else:
            url = word
    url = url if "://" in url else f"http://{url}"
    host = _host_of(url)
    failure, answer = call.guest.fetch(call.argv, url, host)
    code, why = _curl_failure(failure, host)
    if failure in _UNANSWERED:
        _unanswered(call, host, url)
    elif code:
        call.complain(f"({code}) {why}")
    if code:
        return code
    status = int(answer.get("status", 200))
    if status >= 400 and "f" in flags:  # noqa: PLR2004
        call.complain(f"(22) The requested URL returned error: {status}")
        return 22
    return _curl_answer(call, str(answer.get("body", "")).encode(), output)


def _curl_failure(failure: str | None, host: str) -> tuple[int, str]:
    if failure is None:
        return 0, ""
    if failure in ("unresolved", "unknown"):
        return 6, f"Could not resolve host: {host}"
    return 7, f"Failed to connect to {host}: {failure}"


def _curl_answer(call: Invocation, body: bytes, output: str | None) -> int:
    if output is None:
        call.out(body)
        return 0
    try:
        call.save(output, body)
    except OSError as error:
        call.complain(f"(23) Failed to open {output}: {reason(call, error)}")
        return 23
    return 0


_UNANSWERED = ("unknown", "no answer")


def _unanswered(call: Invocation, host: str, url: str = "") -> int:
    """Say that the test does not say what is out there, and how it does; return exit code 1."""
    what = f"nothing answers {url}" if url else f"nothing is known of the host {host!r}"
    call.stderr(
        f"fake_smolvm: {call.argv[0]}: {what}, for nothing leaves this host; provide it with "
        f"smolvm.outside_answer({url or 'URL'!r}, ...) and smolvm.outside_host({host!r}, ADDRESS), "
        f"or in the file that ${variables.NETWORK} names\n".encode("utf-8", "surrogateescape")
    )
    return 1


def _host_of(url: str) -> str:
    host = url.partition("://")[2].partition("/")[0].rpartition("@")[2]
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]


def _nslookup(call: Invocation) -> int:
    names = [word for word in call.argv[1:] if not word.startswith("-")]
    if not names:
        return call.complain("no name given")
    server = names[1] if len(names) > 1 else "1.1.1.1"
    answers = call.guest.reach(call.argv, server).verdict == "allowed"
    found = call.guest.reach(call.argv, names[0])
    addresses = found.addresses if answers else []
    if answers and found.unknown:
        return _unanswered(call, names[0])
    if not answers:
        call.say(";; connection timed out; no servers could be reached\n")
        return 1
    call.say(f"Server:\t\t{server}\nAddress:\t{server}:53\n")
    if not addresses:
        call.say(f"** server can't find {names[0]}: NXDOMAIN\n")
        return 1
    for address in addresses:
        call.say(f"Name:\t{names[0]}\nAddress: {address}")
    return 0


def _ping(call: Invocation) -> int:
    names = [word for word in call.argv[1:] if not word.startswith("-") and not word.isdigit()]
    if not names:
        return call.complain("no host given")
    found = call.guest.reach(call.argv, names[0])
    if found.unknown:
        return _unanswered(call, names[0])
    if found.verdict == "unresolved":
        return call.complain(f"bad address '{names[0]}'")
    if found.verdict != "allowed":
        return call.complain("sendto: Network unreachable")
    # 0.8.0's network carries TCP and UDP only.
    call.say(f"PING {names[0]} ({found.addresses[0]}): 56 data bytes\n")
    call.say(f"--- {names[0]} ping statistics ---")
    call.say("1 packets transmitted, 0 packets received, 100% packet loss")
    return 1


def missing(call: Invocation) -> int:
    """Be a command that the guest has not."""
    call.stderr(f"sh: {call.argv[0]}: not found\n".encode())
    return 127


def no_bash(call: Invocation) -> int:
    """Be `bash` where there is none."""
    call.argv = ["bash", *call.argv[1:]]
    return missing(call)


def not_emulated(call: Invocation) -> int:
    """Be a command that the image has, and that the fake has not."""
    call.stderr(f"{not_emulated_text(call.argv[0])}\n".encode())
    return 127


def not_emulated_text(name: str) -> str:
    """Say that the guest would have a command, and how a test provides it."""
    return (
        f"fake_smolvm: '{name}' is in this guest, but not emulated; provide what it answers with "
        f"smolvm.guest_command({name!r}, ...), or [[guest]] in a scenario"
    )


def _apk(call: Invocation) -> int:
    verb, names = _verb(call.argv)
    if verb not in ("add", "update"):
        return not_emulated(call)
    fetching = "fetch https://dl-cdn.alpinelinux.org/alpine/v3.19/main"
    if call.guest.reach(call.argv, "dl-cdn.alpinelinux.org").verdict != "allowed":
        call.say(f"{fetching}: temporary error")
        call.stderr(b"ERROR: unable to select packages\n")
        return 1
    call.say(fetching)
    if verb == "update":
        return 0
    unknown = _install(call, names)
    if unknown is not None:
        return _unknown_package(call, unknown)
    for number, name in enumerate(names, 1):
        call.say(f"({number}/{len(names)}) Installing {name}")
    call.say("OK")
    return 0


def _apt(call: Invocation) -> int:
    verb, names = _verb(call.argv)
    mirror = "archive.ubuntu.com" if call.guest.identity.name == "ubuntu" else "deb.debian.org"
    if verb not in ("install", "update"):
        return not_emulated(call)
    if call.guest.reach(call.argv, mirror).verdict != "allowed":
        level = b"E: " if verb == "install" else b"W: "
        call.stderr(level + f"Failed to fetch http://{mirror}\n".encode())
        return 100 if verb == "install" else 0
    unknown = _install(call, names) if verb == "install" else None
    if unknown is not None:
        _unknown_package(call, unknown)
        return 100
    quiet = any(word.startswith("-q") for word in call.argv)
    for name in () if quiet else names:
        call.say(f"Setting up {name} ...")
    return 0


def _unknown_package(call: Invocation, name: str) -> int:
    words = ", ".join([repr(word) for word in call.argv])
    call.stderr(
        f"fake_smolvm: {call.argv[0]}: it knows no package {name!r}, whatever the mirrors have; "
        f"provide what this answers with smolvm.guest_command({words}), or [[guest]] in a "
        "scenario, and so what the package brings\n".encode("utf-8", "surrogateescape")
    )
    return 1


def _verb(argv: Sequence[str]) -> tuple[str, list[str]]:
    """Read a package manager's command line: what to do, and with which packages."""
    words = [word for word in argv[1:] if not word.startswith("-")]
    return (words[0] if words else "", words[1:])


def _install(call: Invocation, names: Sequence[str]) -> str | None:
    """Install packages; give the first that there is not."""
    from fake_smolvm.machines.packages import UnknownPackageError, install

    try:
        install(names, call.guest.root)
    except UnknownPackageError as error:
        return str(error)
    except OSError:
        return names[0]  # The guest has put something into the place of the list.
    return None


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


def _readable(size: float, *, short: bool = False) -> str:
    for unit in ("", "K", "M", "G"):
        if size < 1024 or unit == "G":  # noqa: PLR2004
            break
        size /= 1024
    return f"{size:.1f}{unit}" + ("" if short or not unit else "B")


SYSTEM: dict[str, Command] = {
    "apk": _apk,
    "apt": _apt,
    "apt-get": _apt,
    "curl": _curl,
    "df": _df,
    "free": _free,
    "hostname": _hostname,
    "id": _id,
    "ifconfig": _ip,
    "ip": _ip,
    "ln": _ln,
    "mount": _mount,
    "nproc": _nproc,
    "nslookup": _nslookup,
    "ping": _ping,
    "ping6": _ping,
    "ps": _ps,
    "seq": _seq,
    "umount": _true,
    "uname": _uname,
    "wget": _wget,
    "which": _which,
}
STREAMING: dict[str, Command] = {
    **SYSTEM,
    "cat": _cat,
    "dd": _dd,
    "echo": _echo,
    "env": _env,
    "false": _false,
    "halt": _power,
    "head": _head,
    "poweroff": _power,
    "printenv": _env,
    "pwd": _pwd,
    "reboot": _power,
    "sleep": _sleep,
    "true": _true,
    "yes": _yes,
}


def streaming(argv: Sequence[str]) -> Command | None:
    """Give the command that runs an argv without a shell; None if it takes a shell."""
    name = argv[0].rpartition("/")[2]
    command = STREAMING.get(name)
    words = argv[1:]
    flags = [word for word in words if word.startswith("-") and word != "-"]
    if name in ("env", "printenv", "pwd") and words:
        return None
    if name == "cat" and flags:
        return None
    if name == "echo" and words and words[0].startswith("-") and words[0] != "-n":
        return None
    if name == "head":
        try:
            _head_size(argv)
        except (ValueError, IndexError, KeyError):
            return None
    if name == "dd" and not all(
        word.partition("=")[0] in ("if", "of", "bs", "count", "status", "conv") for word in words
    ):
        return None
    return command
