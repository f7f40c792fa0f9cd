"""Programs that ask the network: what the test says is there."""

from __future__ import annotations

from fake_smolvm import variables
from fake_smolvm.guest.bashkit.invocation import reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from fake_smolvm.guest.bashkit.invocation import Command, Invocation


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


PROGRAMS: dict[str, Command] = {
    "curl": _curl,
    "nslookup": _nslookup,
    "ping": _ping,
    "ping6": _ping,
    "wget": _wget,
}
