"""What the commands that ask a registry share. None is ever asked: each fails as without one."""

from __future__ import annotations

from fake_smolvm.errors import CommandError
from fake_smolvm.machines.paths import Paths
from fake_smolvm.machines.references import (
    DEFAULT_TAG,
    InvalidReferenceError,
    Reference,
    host_of,
    unreachable,
)
from fake_smolvm.machines.user_settings import Settings, SettingsFile
from fake_smolvm.operations.log import warning

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fake_smolvm.host import Host

__all__ = ["DEFAULT_TAG", "Registry"]


class Registry:
    """The registry that a reference names, as the user's settings say it is reached."""

    __slots__ = ("_host", "reference")

    def __init__(self, text: str, host: Host) -> None:
        """Read the reference, then the settings.

        Raises CommandError if either is wrong.
        """
        try:
            self.reference = Reference(text)
        except InvalidReferenceError as error:
            raise CommandError(
                f"agent operation failed: parse reference: invalid reference '{text}': {error}"
            ) from None
        settings = Settings({})
        paths = Paths(host.env)
        chosen = host.env.get("SMOLVM_CONFIG")
        # 0.8.0 ignores an empty one here, and that there is no home.
        if chosen or (chosen is None and paths.has_home):
            settings = SettingsFile(paths, host.cwd).read()
        entry = settings.machines.entries.get(self.reference.registry)
        if entry is not None and entry.sends_password_of_file(host.env):
            plain = "using plaintext password from config — use password_env instead"
            host.err(warning(host.env, plain, "registry", self.reference.registry))
        self._host = host_of(self.reference.registry, settings.machines.mirrors)

    def unreachable(self, what: str) -> str:
        """Say that a request for something of the reference's repository did not get through."""
        return unreachable(self._host, f"v2/{self.reference.repository}/{what}")
