"""The environment variables of the fake, each with its name and what it is for."""

HOME = "FAKE_SMOLVM_HOME"
"""The folder that holds everything of the fake's, instead of `$HOME`."""

VERSION = "FAKE_SMOLVM_VERSION"
"""Which smolvm the fake is, such as `1.4.0`."""

SCENARIO = "FAKE_SMOLVM_SCENARIO"
"""A scenario: its file, or the name of one of the fake's own."""

KVM = "FAKE_SMOLVM_KVM"
"""`0` is a host without a hypervisor, on which no machine starts."""

BOOT_SECONDS = "FAKE_SMOLVM_BOOT_SECONDS"
"""How long a machine takes to boot: 0 by default, a day at most."""

IMAGES = "FAKE_SMOLVM_IMAGES"
"""A JSON file with images besides those of `images.json`."""

NETWORK = "FAKE_SMOLVM_NETWORK"
"""A TOML file with what a guest finds on the network."""
