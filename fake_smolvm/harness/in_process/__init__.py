"""The fake as threads of the test's own process."""

from __future__ import annotations

from pytest_subprocess import process_dispatcher, utils

from fake_smolvm.harness.on_path.handed import real_popen
from fake_smolvm.harness.on_path.private_names import check_in_process

check_in_process(real_popen(), process_dispatcher, utils)
