"""One page with the timeline of every test: machines as lanes, calls as bars.

Hazards and faults are marks on them. Self-contained: it loads nothing and needs no script.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from shlex import join
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NO_MACHINE = "(no machine)"
_SHORTEST_PERCENT = 0.4
"""Width of the narrowest bar, so that it can be seen and pointed at."""

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --ok: #2a8f5c; --bad: #c8402f; --cut: #8a6d1a;
  --mark: #b5490f; }
body { font: 14px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem;
  padding: 0 1rem; }
h1 { font-size: 1.3rem; }
h2 { font-size: 1rem; margin: 2rem 0 .4rem; overflow-wrap: anywhere; }
h2 small { font-weight: normal; opacity: .7; }
.failed { color: var(--bad); }
.lane, .scale { display: grid; grid-template-columns: 10rem 1fr; }
.lane { border-top: 1px solid var(--line); }
.name { padding: .3rem .6rem .3rem 0; overflow: hidden; text-overflow: ellipsis;
  white-space: nowrap; }
.name b { color: var(--mark); font-size: .75rem; }
.track { position: relative; height: 2rem; overflow: hidden; }
.bar { position: absolute; height: .8rem; bottom: .25rem; min-width: 3px; box-sizing: border-box;
  border-radius: 2px; background: var(--ok); }
.bar.bad { background: var(--bad); }
.bar.cut { border: 1px solid var(--cut);
  background: repeating-linear-gradient(45deg, var(--cut) 0 4px, transparent 4px 7px); }
.mark { position: absolute; top: 0; font-size: .75rem; line-height: 1rem; color: var(--mark);
  transform: translateX(-50%); font-weight: 600; white-space: nowrap; }
.mark.left { transform: none; }
.mark.right { transform: translateX(-100%); }
.scale { border-top: 1px solid var(--line); font-size: .75rem; opacity: .7; }
.scale div { display: flex; justify-content: space-between; }
pre, td { font: 12px/1.5 ui-monospace, monospace; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: .5rem 0; }
td { padding: 0 1rem 0 0; vertical-align: top; }
td:last-child { white-space: pre-wrap; overflow-wrap: anywhere; }
.number { text-align: right; white-space: nowrap; }
summary { cursor: pointer; margin: .4rem 0; opacity: .8; }
"""


def write(path: str, stories: Sequence[Mapping[str, Any]]) -> None:
    """Write the page; `stories` are one a test, as `harness.lifetime` tells them."""
    told = sorted(stories, key=lambda story: str(story["test"]))
    Path(path).write_text(page(told), encoding="utf-8", errors="backslashreplace")


def page(stories: Sequence[Mapping[str, Any]]) -> str:
    """Give the page."""
    failed = sum(bool(story["failed"]) for story in stories)
    calls = sum(len(story["calls"]) for story in stories)
    summary = f"{len(stories)} tests, {failed} failed, {calls} calls"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>smolvm: {summary}</title><style>{_STYLE}</style></head>\n"
        f"<body><h1>What tests did to smolvm: {summary}</h1>\n"
        + "\n".join(_test(story) for story in stories)
        + "\n</body></html>\n"
    )


def _test(story: Mapping[str, Any]) -> str:
    calls, hazards, faults = story["calls"], story["hazards"], story["faults"]
    verdict = ' <span class="failed">failed</span>' if story["failed"] else ""
    smolvm = f"<small>{escape(story['smolvm'])}</small>"
    parts = [f"<section><h2>{escape(story['test'])}{verdict} {smolvm}</h2>"]
    if calls:
        whole = max(call["started"] + (call["seconds"] or 0) for call in calls) or 1e-3
        lanes = dict.fromkeys(_lane(part) for part in [*calls, *hazards, *faults])
        parts += [_lane_of(lane, story, whole) for lane in lanes]
        parts.append(
            f'<div class="scale"><span></span><div><span>0</span>'
            f"<span>{_duration(whole)}</span></div></div>"
        )
    parts += [f"<pre>{escape(hazard['text'])}</pre>" for hazard in hazards]
    parts += [f"<pre>fault: {escape(fault['text'])}</pre>" for fault in faults]
    rows = "".join(_row(call) for call in calls)
    parts.append(
        f"<details><summary>{len(calls)} calls</summary><table>{rows}</table></details></section>"
    )
    return "\n".join(parts)


def _lane_of(lane: str, story: Mapping[str, Any], whole: float) -> str:
    bars = [_bar(call, whole) for call in story["calls"] if _lane(call) == lane]
    hazards = [hazard for hazard in story["hazards"] if _lane(hazard) == lane]
    marks = [_mark(f"▲ {it['hazard']}", it, whole) for it in hazards if it["at"] is not None]
    marks += [_mark("⚡", fault, whole) for fault in story["faults"] if _lane(fault) == lane]
    # A leak has no moment of its own: it is what is there in the end.
    lasting = "".join(f" <b>▲ {it['hazard']}</b>" for it in hazards if it["at"] is None)
    return (
        f'<div class="lane"><div class="name">{escape(lane)}{lasting}</div>'
        f'<div class="track">{"".join(bars + marks)}</div></div>'
    )


def _bar(call: Mapping[str, Any], whole: float) -> str:
    left = 100 * call["started"] / whole
    seconds = call["seconds"]
    # What never ended, as far as was seen, goes on to the edge.
    width = 100 - left if seconds is None else max(100 * seconds / whole, _SHORTEST_PERCENT)
    left = min(left, 100 - _SHORTEST_PERCENT)
    kind = "cut" if call["returncode"] is None else "bad" if call["returncode"] else ""
    place = f"left:min({left:.2f}%,100% - 3px);width:{min(width, 100 - left):.2f}%"
    return f'<div class="bar {kind}" style="{place}" title="{escape(_title(call))}"></div>'


def _mark(sign: str, event: Mapping[str, Any], whole: float) -> str:
    at = min(max(100 * event["at"] / whole, 0), 100)
    side = "left" if at < 5 else "right" if at > 95 else ""  # noqa: PLR2004  percent
    return (
        f'<span class="mark {side}" style="left:{at:.2f}%" title="{escape(event["text"])}">'
        f"{escape(sign)}</span>"
    )


def _row(call: Mapping[str, Any]) -> str:
    took = "" if call["seconds"] is None else _duration(call["seconds"])
    return (
        f'<tr><td class="number">{_duration(call["started"])}</td><td class="number">{took}</td>'
        f"<td>{_ending(call)}</td><td>{escape(join(call['argv']))}</td></tr>"
    )


def _title(call: Mapping[str, Any]) -> str:
    return f"{join(call['argv'])}\n{_ending(call)}\n{call['stderr']}".strip()


def _ending(call: Mapping[str, Any]) -> str:
    code = call["returncode"]
    return "no end" if code is None else "ok" if code == 0 else f"exit {code}"


def _lane(part: Mapping[str, Any]) -> str:
    return str(part["machine"] or NO_MACHINE)


def _duration(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"
