"""The fake as threads of the test's own process."""
