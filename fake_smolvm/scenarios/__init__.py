r"""What goes wrong, as data: faults that commands meet, and guest commands that a test provides.

A scenario is a TOML file; `$FAKE_SMOLVM_SCENARIO` names one, by path or, for those in this folder,
by name (`no-kvm`). Every key but `command` may be left out::

    [[fault]]
    command = "machine start"   # this command, or the family: "machine"
    machine = "box"             # only when it is about this machine
    stream = true               # only with (without) `--stream`
    skip = 2                    # not the first two times
    times = 1                   # only once
    env = {FAKE_SMOLVM_KVM = "0"}   # set for the fake itself while the command runs
    corrupt_store = true        # the records are garbage from now on
    delay_seconds = 1.5         # then the command goes on
    kill_machine = true         # its process dies
    hang = true                 # until somebody kills smolvm
    exit = 1                    # instead of running
    stdout = "..."              # said before that; {machine} stands for the machine's name,
    stderr = "..."              # {folder} for the folder of the scenario file

    [[guest]]
    command = ["python3", "-V"]     # exactly this argv in the guest,
    prefix = ["git"]                # or all that begin like this
    exit = 0
    stdout = "Python 3.12.1\n"
    stderr = ""

    [[guest]]
    socket = "/tmp/x"               # or whoever listens there is asked, see `guest_commands`

Before all that, `journal = "/tmp/y"` names a file in which each fault that is met is noted, one
`fault NUMBER` a line.

Of the faults that fit a call each does its part, in order, until one ends the command.
"""

from __future__ import annotations

from fake_smolvm.errors import SetupError


class ScenarioError(SetupError, ValueError):
    """A scenario that makes no sense."""
