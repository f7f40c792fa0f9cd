"""The journal of hazards: what 0.8.0 accepted and then did not do, noted as it happens.

`hazards.json` says what each one is. The journal is `Paths.hazards`, one JSON object a line with
the keys `hazard`, `command`, `machine`, `consequence`, `time` (seconds since 1970) and `clock`
(nanoseconds of the monotonic clock).
"""

from __future__ import annotations

import os
import time

from fake_smolvm.fastjson import dumps_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fake_smolvm.machines.paths import Paths


def note(paths: Paths, hazard: str, *, command: str, machine: str, consequence: str) -> None:
    """Add one occurrence to the journal, whole, whoever else writes to it.

    `hazard` is a number such as "H4", `consequence` what it does to this machine on the real one.
    Never put the value of an environment variable into `consequence`.

    Raises:
        OSError: For a journal that cannot be written, with its path: a hazard that nobody hears of
            is a test that passes and proves nothing. (There 0.8.0 fails too.)
    """
    line = dumps_line(
        {
            "hazard": hazard,
            "command": command,
            "machine": machine,
            "consequence": consequence,
            "time": int(time.time()),
            "clock": time.monotonic_ns(),
        }
    )
    paths.make_state()
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    file = os.open(paths.hazards, flags, 0o600)
    try:
        os.write(file, line)
    except OSError as error:
        raise OSError(error.errno, error.strerror, paths.hazards) from None
    finally:
        os.close(file)
