"""A stand-in for the `smolvm` binary."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fake_smolvm.compatibility import Verdict, check
    from fake_smolvm.grammars import DEFAULT_VERSION
    from fake_smolvm.harness.fixture import InProcessFixture, SmolvmFixture
    from fake_smolvm.harness.fixture_life import sandbox
    from fake_smolvm.harness.seen.call import Call
    from fake_smolvm.harness.seen.calls import Calls
    from fake_smolvm.harness.seen.machine import Machine
    from fake_smolvm.harness.verdicts.hazards import SmolvmHazardWarning
    from fake_smolvm.harness.verdicts.life import SandboxError
    from fake_smolvm.scenarios import ScenarioError

__all__ = [
    "DEFAULT_VERSION",
    "Call",
    "Calls",
    "InProcessFixture",
    "Machine",
    "SandboxError",
    "ScenarioError",
    "SmolvmFixture",
    "SmolvmHazardWarning",
    "Verdict",
    "check",
    "sandbox",
]

_MODULES = {
    "DEFAULT_VERSION": "grammars",
    "Call": "harness.seen.call",
    "Calls": "harness.seen.calls",
    "InProcessFixture": "harness.fixture",
    "Machine": "harness.seen.machine",
    "SandboxError": "harness.verdicts.life",
    "ScenarioError": "scenarios",
    "SmolvmFixture": "harness.fixture",
    "SmolvmHazardWarning": "harness.verdicts.hazards",
    "Verdict": "compatibility",
    "check": "compatibility",
    "sandbox": "harness.fixture_life",
}


def __getattr__(name: str) -> Any:
    # Loaded when asked for: the fake itself starts thousands of times and needs none of it.
    if name in _MODULES:
        from importlib import import_module

        return getattr(import_module(f"fake_smolvm.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
