"""The proof: what the real smolvm said, said again by the fake as an executable."""

from __future__ import annotations

import json
import os
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from player import CASSETTES, Sandbox, differences, without_vcpu_warning
from vm import Stage, at_once

if TYPE_CHECKING:
    from collections.abc import Iterator

GAPS = Path(__file__).parents[1] / "known_gaps.toml"

Miss = tuple[str, str]


def recorded(name: str) -> list[Any]:
    """Read the recording `name` of 0.8.0, one JSON document a line."""
    with (CASSETTES / "0.8.0" / f"{name}.jsonl").open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def listed(kind: str, name: str) -> set[str]:
    """Read the steps of one recording that the list of gaps has under `kind`."""
    gaps = tomllib.loads(GAPS.read_text(encoding="utf-8"))[kind]
    return {step for gap in gaps for step in gap["steps"] if step.startswith(f"{name}/")}


def play_argv(folder: Path, number: int, line: dict[str, Any]) -> Iterator[Miss]:
    said = Sandbox(folder).run(line["argv"])
    if wrong := differences(line, said):
        yield f"argv/{number}", f"{line['argv']}: {', '.join(wrong)}"


def play_session(folder: Path, number: int, line: dict[str, Any]) -> Iterator[Miss]:
    return _play_session("sessions", Sandbox(folder), number, line)


def play_wide_session(folder: Path, number: int, line: dict[str, Any]) -> Iterator[Miss]:
    sandbox = Sandbox(folder)
    sandbox.env["FAKE_SMOLVM_KVM"] = "0"
    return _play_session("sessions-wide", sandbox, number, line)


def _play_session(name: str, sandbox: Sandbox, number: int, line: dict[str, Any]) -> Iterator[Miss]:
    for index, step in enumerate(line["session"]):
        if "write" in step:
            (sandbox.cwd / step["write"]).write_text(step["text"], encoding="utf-8")
            continue
        said = sandbox.run(step["argv"], (step["stdin"] or "").encode())
        if wrong := differences(step, without_vcpu_warning(said)):
            yield f"{name}/{number}/{index}", f"{step['argv']}: {', '.join(wrong)}"


def commands_of_a_session(line: dict[str, Any]) -> int:
    return sum("argv" in step for step in line["session"])


def play_part(folder: Path, _: int, line: dict[str, Any]) -> Iterator[Miss]:
    part = line["part"]
    folder.mkdir()
    stage = Stage(folder, part)
    try:
        for steps in at_once(line["steps"]):
            for number, wrong in stage.play(steps):
                if wrong:
                    argv = line["steps"][number]["argv"]
                    yield f"vm/{part}/{number}", f"{argv}: {', '.join(wrong)}"
    finally:
        stage.clear()


def commands_of_a_part(line: dict[str, Any]) -> int:
    return sum(not step.get("host") for step in line["steps"])


@pytest.mark.parametrize(
    ("name", "play", "size"),
    [
        ("argv", play_argv, lambda line: 1),  # noqa: ARG005
        ("sessions", play_session, commands_of_a_session),
        ("sessions-wide", play_wide_session, commands_of_a_session),
        ("vm", play_part, commands_of_a_part),
    ],
    ids=["argv", "sessions", "sessions-wide", "vm"],
)
def test_the_fake_answers_as_recorded(
    name: str, play: Any, size: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = recorded(name)
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        played = threads.map(
            lambda numbered: list(play(tmp_path / str(numbered[0]), numbered[0], numbered[1])),
            enumerate(lines),
        )
        misses = dict(miss for missed in played for miss in missed)
    total = sum(map(size, lines))
    with capsys.disabled():
        print(f"\nrecordings of 0.8.0, {name}: {total - len(misses)} of {total} the same")  # noqa: T201
    gaps, races = listed("gap", name), listed("race", name)
    unlisted = [f"{step} {what}" for step, what in misses.items() if step not in gaps | races]
    assert not unlisted, "not as recorded, and not in known_gaps.toml:\n" + "\n".join(unlisted)
    closed = sorted(gaps - misses.keys())
    assert not closed, f"no longer a miss: take these out of known_gaps.toml: {closed}"
