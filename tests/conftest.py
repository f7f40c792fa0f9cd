"""What every test shares."""

from __future__ import annotations

import tempfile

from hypothesis.configuration import set_hypothesis_home_dir

pytest_plugins = ["pytester"]

# Hypothesis would leave its files in the repository.
set_hypothesis_home_dir(tempfile.mkdtemp(prefix="hypothesis-"))
