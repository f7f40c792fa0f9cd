"""Programs that tell what the machine is, and end it."""

from __future__ import annotations

import os

from fake_smolvm.guest.bashkit.programs.streams import readable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fake_smolvm.guest.bashkit.invocation import Command, Invocation


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
            readable(number, short=True) if human else str(number // unit)
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


def _umount(_: Invocation) -> int:
    return 0


PROGRAMS: dict[str, Command] = {
    "df": _df,
    "free": _free,
    "halt": _power,
    "hostname": _hostname,
    "id": _id,
    "ifconfig": _ip,
    "ip": _ip,
    "mount": _mount,
    "nproc": _nproc,
    "poweroff": _power,
    "ps": _ps,
    "reboot": _power,
    "umount": _umount,
    "uname": _uname,
    "which": _which,
}
