"""What every test shares."""

from __future__ import annotations

import tempfile

from hypothesis import settings
from hypothesis.configuration import set_hypothesis_home_dir

pytest_plugins = ["pytester"]

# No verdict by how fast a machine is.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

# Hypothesis would leave its files in the repository.
set_hypothesis_home_dir(tempfile.mkdtemp(prefix="hypothesis-"))
