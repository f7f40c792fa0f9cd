"""Plays a part of vm.jsonl, machines really booted, against the fake: steps, signals and all."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tomllib
from itertools import groupby
from pathlib import Path
from select import POLLIN, poll
from typing import TYPE_CHECKING, Any

from player import FAKE, RECORDED_HOST_BINARY, STEP_TIMEOUT_SECONDS, Said, Sandbox, differences

if TYPE_CHECKING:
    from collections.abc import Iterator

STAGE = tomllib.loads(Path(__file__).with_name("stage.toml").read_text(encoding="utf-8"))
NO_REGISTRY = '[{"names": ["*"], "identity": null}]'
# The recorder gave up on a step that hangs after a while. A step that ends by itself within this
# time does not hang; one that hangs is never too slow.
GIVE_UP_SECONDS = 2.0
# Host commands that made or moved something; the others only looked.
ACTING = re.compile(r"^(rm|mv|echo|mkdir)\b|echo keep|; rm -f big2")


class Stage:
    """One HOME and working folder, and the processes of its machines."""

    def __init__(self, folder: Path, part: str) -> None:
        self._directions: dict[str, Any] = STAGE.get(part, {})
        self.sandbox = Sandbox(folder, fixtures=False)
        self._pids: dict[str, str] = {}
        images = folder / "images.json"
        images.write_text(NO_REGISTRY, encoding="utf-8")
        self.sandbox.env |= {"FAKE_SMOLVM_IMAGES": str(images), "CWD": str(self.sandbox.cwd)}
        self._lay_out()

    def _lay_out(self) -> None:
        cwd = self.sandbox.cwd
        for name in self._directions.get("folders", ()):
            (cwd / name).mkdir()
        for name, text in self._directions.get("files", {}).items():
            (cwd / name).write_text(text, encoding="utf-8")
        for name, size in self._directions.get("filled", {}).items():
            (cwd / name).write_bytes(os.urandom(size))
        for name, target in self._directions.get("links", {}).items():
            (cwd / name).symlink_to(target)
        if (cwd / "x.sh").exists():
            (cwd / "x.sh").chmod(0o755)

    def play(self, steps: list[tuple[int, dict[str, Any]]]) -> Iterator[tuple[int, list[str]]]:
        """Run steps at once; yields each one's number and what of it is not as recorded."""
        first, step = steps[0]
        direction = self._directions.get("steps", {}).get(str(first), {})
        if "before" in direction:
            self._shell(direction["before"])
        if step.get("host"):
            if ACTING.search(step["argv"][-1]):
                self._shell(step["argv"][-1].replace(RECORDED_HOST_BINARY, str(FAKE)))
            return
        running = []
        for number, one in steps:
            running.append((number, one, self._start(one, direction)))
            self._pids["step"] = " ".join([str(process.pid) for _, _, process in running])
            if "then" in direction and one is step:
                self._shell(direction["then"])
        if "during" in direction:
            for _, one, process in running:
                _wait_for_output(one, process)
            self._shell(direction["during"])
        for number, one, process in running:
            if one["rc"] < 0 and "during" not in direction:
                _give_up_on(process)
            yield number, differences(one, self._end(one, process))

    def _start(self, step: dict[str, Any], direction: dict[str, Any]) -> subprocess.Popen[bytes]:
        cwd = direction.get("CWD", str(self.sandbox.cwd))
        argv = [part.replace("$CWD", cwd) for part in step["argv"]]
        env = {name: value.replace("$CWD", cwd) for name, value in direction.get("env", {}).items()}
        stdin = step["stdin"] or "devnull"
        given = subprocess.DEVNULL if stdin in ("devnull", "closed") else subprocess.PIPE
        process = subprocess.Popen(
            [FAKE, *argv],
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.sandbox.cwd,
            env={**self.sandbox.env, **env},
        )
        if stdin.startswith("pipe:") and process.stdin:
            try:
                process.stdin.write(stdin.removeprefix("pipe:").encode())
                process.stdin.close()
            except BrokenPipeError:
                pass  # It did not want to know.
            process.stdin = None
        return process

    def _end(self, step: dict[str, Any], process: subprocess.Popen[bytes]) -> Said:
        if step["rc"] < 0:
            process.send_signal(-step["rc"])
        held, process.stdin = process.stdin, None
        try:
            stdout, stderr = process.communicate(timeout=STEP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            stdout, stderr = process.communicate()
        finally:
            if held:
                held.close()
        started = re.findall(rb"Machine '([\w-]+)' running \(PID: (\d+)\)", stdout)
        self._pids |= {name.decode(): pid.decode() for name, pid in started}
        return self.sandbox.said(process.returncode, stdout, stderr)

    def _shell(self, script: str) -> None:
        pids = {f"PID_{name}": pid for name, pid in self._pids.items()}
        subprocess.run(
            ["sh", "-c", STAGE["shell"] + script],
            cwd=self.sandbox.cwd,
            env={**self.sandbox.env, **pids},
            capture_output=True,
            check=False,
            timeout=STEP_TIMEOUT_SECONDS,
        )

    def clear(self) -> None:
        """End what is left of the part."""
        self._pids.pop("step", None)
        for pid in self._pids.values():
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                continue


def _wait_for_output(step: dict[str, Any], process: subprocess.Popen[bytes]) -> None:
    """Wait until a step says the first of what it said before it was disturbed."""
    if step["stdout"] and process.stdout:
        said = poll()
        said.register(process.stdout, POLLIN)
        said.poll(STEP_TIMEOUT_SECONDS * 1000)


def _give_up_on(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(GIVE_UP_SECONDS)
    except subprocess.TimeoutExpired:
        pass


def at_once(steps: list[dict[str, Any]]) -> Iterator[list[tuple[int, dict[str, Any]]]]:
    """Group the steps that the recorder started together: labelled `what [0]`, `what [1]` …."""

    def group(numbered: tuple[int, dict[str, Any]]) -> object:
        number, step = numbered
        together = step.get("stdin") is None and re.fullmatch(r"(.*) \[\d+\]", step["label"] or "")
        return together[1] if together else number

    for _, members in groupby(enumerate(steps), key=group):
        yield list(members)
