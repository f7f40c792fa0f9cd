"""The page of a run: an index of its tests, failures first, and the timeline of each.

Machines are lanes, calls are bars; hazards and faults are marks on them. The page stands alone:
it loads nothing and needs no script. What a colour says, a sign and a word say too.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from html import escape
from importlib.resources import files
from shlex import join
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

NO_MACHINE = "(no machine)"
BAD = ("failed", "error", "no end")
"""The outcomes that come first."""

_SIGNS = {"passed": "✓", "xpassed": "✓", "skipped": "○", "xfailed": "○"}
_BAD_SIGN = "✗"
_HAZARD_SIGN = "▲"
_FAULT_SIGN = "◆"
_SHORTEST_PERCENT = 0.4
"""Width of the narrowest bar, so that it can be seen and pointed at."""
_CONTROLS = {code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"} | {127: 0x2421}
"""What no HTML may hold, as the characters that picture them."""


@dataclass
class Attempt:
    """One way of a test from its setup to its teardown."""

    outcome: str
    """`passed`, `failed`, `error`, `skipped`, `xfailed`, `xpassed` or `no end`."""
    messages: list[tuple[str, str]] = field(default_factory=list)
    """Where it failed (`setup`, `call`, `teardown`) and what was said."""
    reason: str = ""
    """The gist, in a line."""
    stories: list[Mapping[str, Any]] = field(default_factory=list)
    """What its fixtures tell, see `story`."""


@dataclass
class Entry:
    """One test, with every attempt at it, the last of which counts."""

    name: str
    attempts: list[Attempt]

    @property
    def last(self) -> Attempt:
        """The attempt that counts."""
        return self.attempts[-1]

    @property
    def outcome(self) -> str:
        """How it ended."""
        return self.last.outcome

    def parts(self, kind: str) -> list[Mapping[str, Any]]:
        """Return all `calls`, `hazards` or `faults` of the last attempt."""
        return [part for story in self.last.stories for part in story[kind]]


@dataclass
class Run:
    """All that the page tells."""

    tests: Sequence[Entry]
    others: Mapping[str, int] = field(default_factory=dict)
    """Outcomes of the tests that have no part in the page, as they did not use smolvm."""
    notes: Sequence[str] = ()
    """What befell the run as a whole."""
    written: str = ""
    """When, and by what."""


def page(run: Run) -> str:
    """Return the page."""
    tests = sorted(run.tests, key=lambda test: (test.outcome not in BAD, test.name))
    failed = sum(test.outcome in BAD for test in tests)
    title = f"smolvm: {failed} of {_count(len(tests), 'test')} failed"
    parts = [
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width">',
        f"<title>{title}</title><style>{_style()}</style></head>\n<body>",
        _header(run, tests),
        "<main>",
        *(_test(f"t{number}", test) for number, test in enumerate(tests, 1)),
        "</main></body></html>\n",
    ]
    return "\n".join(parts)


def _style() -> str:
    return files("fake_smolvm.harness.verdicts").joinpath("report.css").read_text(encoding="utf-8")


def _header(run: Run, tests: Sequence[Entry]) -> str:
    calls = sum(len(test.parts("calls")) for test in tests)
    found = Counter(test.outcome for test in tests)
    order = sorted(found, key=lambda outcome: (outcome not in BAD, outcome))
    words = ", ".join(f"{found[outcome]} {outcome}" for outcome in order) or "none"
    lines = [f"{_count(len(tests), 'test')} here: {words}; {_count(calls, 'call')} of smolvm."]
    if run.others:
        number = sum(run.others.values())
        words = ", ".join(f"{many} {outcome}" for outcome, many in sorted(run.others.items()))
        lines.append(f"{_count(number, 'other')} did not use smolvm: {words}.")
    lines += [run.written] if run.written else []
    notes = "".join(f'<pre class="note">{_text(note)}</pre>' for note in run.notes)
    return (
        f"<header><h1>What tests did to smolvm</h1><p>{'<br>'.join(map(_text, lines))}</p>{notes}"
        f"{_filters(tests)}{_legend()}</header>\n{_index(tests)}"
    )


def _filters(tests: Sequence[Entry]) -> str:
    """Return the switches; the style sheet does what they say."""
    if not tests:
        return ""
    kinds = Counter(kind for test in tests for kind in _kinds(test))
    words = {
        "all": "all",
        "bad": f"{_BAD_SIGN} failed",
        "good": "✓ passed",
        "left-out": "○ skipped, xfailed",
        "hazard": f"{_HAZARD_SIGN} with hazards",
        "fault": f"{_FAULT_SIGN} with faults",
    }
    kinds["all"] = len(tests)
    shown = "".join(
        f'<label><input type="radio" name="show" id="show-{kind}"'
        f"{' checked' if kind == 'all' else ''}> {word} ({kinds[kind]})</label>"
        for kind, word in words.items()
        if kinds[kind]
    )
    return f'<fieldset class="filter"><legend>Show</legend>{shown}</fieldset>'


def _legend() -> str:
    return (
        '<p class="legend" aria-hidden="true"><span class="sample bar"></span>call '
        f'<span class="sample bar bad"></span><b class="mark-bad">{_BAD_SIGN}</b> call that failed '
        '<span class="sample bar cut"></span>call without end '
        f'<b class="mark-hazard">{_HAZARD_SIGN} H3</b> hazard '
        f'<b class="mark-fault">{_FAULT_SIGN}</b> fault</p>'
    )


def _index(tests: Sequence[Entry]) -> str:
    if not tests:
        return "<p>No test used smolvm.</p>"
    rows = "".join(_index_row(f"t{number}", test) for number, test in enumerate(tests, 1))
    return (
        '<nav aria-label="Tests"><details open><summary><h2>Tests</h2></summary>'
        '<table class="index">'
        '<thead><tr><th scope="col">Result</th><th scope="col">Test</th>'
        '<th scope="col">Calls</th><th scope="col">Hazards, faults</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></details></nav>"
    )


def _index_row(anchor: str, test: Entry) -> str:
    gist = f'<div class="reason">{_text(test.last.reason)}</div>' if test.last.reason else ""
    found = [f"{_HAZARD_SIGN} {hazard}" for hazard in _hazards(test)]
    found += [f"{_FAULT_SIGN} {len(faults)}"] if (faults := test.parts("faults")) else []
    return (
        f'<tr class="{_classes(test)}"><td>{_verdict(test.outcome)}</td>'
        f'<th scope="row"><a href="#{anchor}">{_text(test.name)}</a>{gist}</th>'
        f'<td class="number">{len(test.parts("calls"))}</td><td>{_text(", ".join(found))}</td></tr>'
    )


def _test(anchor: str, test: Entry) -> str:
    attempts = len(test.attempts)
    which = f", attempt {attempts} of {attempts}" if attempts > 1 else ""
    smolvm = ", ".join(dict.fromkeys(str(story["smolvm"]) for story in test.last.stories))
    parts = [
        f'<section id="{anchor}" class="{_classes(test)}" aria-labelledby="{anchor}-name">',
        f'<h2 id="{anchor}-name">{_text(test.name)}</h2>',
        f"<p>{_verdict(test.outcome)}{which} <small>{_text(smolvm)}</small></p>",
        _attempt(test, test.last),
    ]
    for number, attempt in enumerate(test.attempts[:-1], 1):
        parts.append(
            f"<details><summary>attempt {number} of {attempts}: {_verdict(attempt.outcome)}"
            f"</summary>{_attempt(test, attempt)}</details>"
        )
    return "\n".join([*parts, "</section>"])


def _attempt(test: Entry, attempt: Attempt) -> str:
    parts = []
    if attempt.reason:
        parts.append(f'<p class="reason">{_text(attempt.reason)}</p>')
    for where, message in attempt.messages:
        parts.append(
            f"<details open><summary>failed in {_text(where)}</summary>"
            f'<pre class="message">{_text(message)}</pre></details>'
        )
    for story in attempt.stories:
        if not test.name.startswith(story["test"]):
            # A fixture that lived longer than the test, told of with the last that used it.
            parts.append(f"<p>all that happened in {_text(story['test'])}:</p>")
        parts.append(_story(story))
    return "\n".join(parts)


def _story(story: Mapping[str, Any]) -> str:
    calls, hazards, faults = story["calls"], story["hazards"], story["faults"]
    parts = []
    if calls:
        whole = max(call["started"] + (call["seconds"] or 0) for call in calls) or 1e-3
        lanes = dict.fromkeys(_lane(part) for part in [*calls, *hazards, *faults])
        parts += [_lane_of(lane, story, whole) for lane in lanes]
        parts.append(
            f'<div class="scale" aria-hidden="true"><span></span><div><span>0</span>'
            f"<span>{_duration(whole)}</span></div></div>"
        )
    parts += [f'<pre class="hazard">{_HAZARD_SIGN} {_text(part["text"])}</pre>' for part in hazards]
    parts += [f'<pre class="fault">{_FAULT_SIGN} fault: {_text(it["text"])}</pre>' for it in faults]
    if calls:
        rows = "".join(_row(call) for call in calls)
        parts.append(
            f"<details><summary>{_count(len(calls), 'call')}</summary>"
            '<table class="calls"><thead><tr><th scope="col">At</th><th scope="col">Took</th>'
            '<th scope="col">Ended</th><th scope="col">Command line</th></tr></thead>'
            f"<tbody>{rows}</tbody></table></details>"
        )
    return "\n".join(parts)


def _lane_of(lane: str, story: Mapping[str, Any], whole: float) -> str:
    calls = [call for call in story["calls"] if _lane(call) == lane]
    hazards = [hazard for hazard in story["hazards"] if _lane(hazard) == lane]
    faults = [fault for fault in story["faults"] if _lane(fault) == lane]
    marks = [
        _mark("hazard", f"{_HAZARD_SIGN} {it['hazard']}", it, whole)
        for it in hazards
        if it["at"] is not None
    ]
    marks += [_mark("fault", _FAULT_SIGN, fault, whole) for fault in faults]
    # A leak has no moment of its own: it is what is there in the end.
    lasting = "".join(
        f" <b>{_HAZARD_SIGN} {_text(it['hazard'])}</b>" for it in hazards if it["at"] is None
    )
    said = f"{_count(len(calls), 'call')}, {sum(bool(call['returncode']) for call in calls)} failed"
    said += f"; hazards: {len(hazards)}; faults: {len(faults)}"
    return (
        f'<div class="lane"><div class="name">{_text(lane)}{lasting}</div>'
        f'<div class="track" role="img" aria-label="{_text(lane)}: {said}">'
        f"{''.join([*(_bar(call, whole) for call in calls), *marks])}</div></div>"
    )


def _bar(call: Mapping[str, Any], whole: float) -> str:
    left = 100 * call["started"] / whole
    seconds = call["seconds"]
    # What never ended, as far as was seen, goes on to the edge.
    width = 100 - left if seconds is None else max(100 * seconds / whole, _SHORTEST_PERCENT)
    left = min(left, 100 - _SHORTEST_PERCENT)
    kind = "cut" if call["returncode"] is None else "bad" if call["returncode"] else ""
    place = f"left:min({left:.2f}%,100% - 3px);width:{min(width, 100 - left):.2f}%"
    title = f"{join(call['argv'])}\n{call['ended']}\n{call['stderr']}".strip()
    bar = f'<div class="bar {kind}" style="{place}" title="{_text(title)}"></div>'
    if kind != "bad":
        return bar
    # Where the bar is too narrow for its pattern, the sign still tells.
    at = {"at": call["started"], "text": title}
    return bar + _mark("bad", _BAD_SIGN, at, whole)


def _mark(kind: str, sign: str, event: Mapping[str, Any], whole: float) -> str:
    at = min(max(100 * event["at"] / whole, 0), 100)
    side = "left" if at < 5 else "right" if at > 95 else ""  # noqa: PLR2004  percent
    return (
        f'<span class="mark mark-{kind} {side}" style="left:{at:.2f}%"'
        f' title="{_text(event["text"])}">{_text(sign)}</span>'
    )


def _row(call: Mapping[str, Any]) -> str:
    took = "" if call["seconds"] is None else _duration(call["seconds"])
    said = f'<div class="said">{_text(call["stderr"])}</div>' if call["stderr"].strip() else ""
    return (
        f'<tr><td class="number">{_duration(call["started"])}</td><td class="number">{took}</td>'
        f"<td>{_ending(call)}</td><td>{_text(join(call['argv']))}{said}</td></tr>"
    )


def _ending(call: Mapping[str, Any]) -> str:
    code = call["returncode"]
    sign = "…" if code is None else _BAD_SIGN if code else "✓"
    return f"{sign} {_text(call['ended'])}"


def _lane(part: Mapping[str, Any]) -> str:
    return str(part["machine"] or NO_MACHINE)


def _verdict(outcome: str) -> str:
    kind = "bad" if outcome in BAD else "good" if "pass" in outcome else "left-out"
    return f'<span class="verdict {kind}">{_SIGNS.get(outcome, _BAD_SIGN)} {outcome}</span>'


def _kinds(test: Entry) -> list[str]:
    kinds = ["bad" if test.outcome in BAD else "good" if "pass" in test.outcome else "left-out"]
    kinds += ["hazard"] if test.parts("hazards") else []
    return kinds + (["fault"] if test.parts("faults") else [])


def _classes(test: Entry) -> str:
    return " ".join(f"is-{kind}" for kind in _kinds(test))


def _hazards(test: Entry) -> Iterable[str]:
    return dict.fromkeys(str(hazard["hazard"]) for hazard in test.parts("hazards"))


def _text(text: str) -> str:
    return escape(text.translate(_CONTROLS))


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _duration(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"
