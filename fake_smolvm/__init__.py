"""A stand-in for the `smolvm` binary."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fake_smolvm.compatibility import Verdict, check
    from fake_smolvm.grammars import DEFAULT_VERSION
    from fake_smolvm.harness.calls import Call, Calls
    from fake_smolvm.harness.fixture import InProcessFixture, SmolvmFixture
    from fake_smolvm.harness.hazards import SmolvmHazardWarning
    from fake_smolvm.harness.lifetime import sandbox
    from fake_smolvm.harness.machine import Machine
    from fake_smolvm.harness.verdict import SandboxError
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
    "Call": "harness.calls",
    "Calls": "harness.calls",
    "InProcessFixture": "harness.fixture",
    "Machine": "harness.machine",
    "SandboxError": "harness.verdict",
    "ScenarioError": "scenarios",
    "SmolvmFixture": "harness.fixture",
    "SmolvmHazardWarning": "harness.hazards",
    "Verdict": "compatibility",
    "check": "compatibility",
    "sandbox": "harness.lifetime",
}


def __getattr__(name: str) -> Any:
    # Loaded when asked for: the fake itself starts thousands of times and needs none of it.
    if name in _MODULES:
        from importlib import import_module

        return getattr(import_module(f"fake_smolvm.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
