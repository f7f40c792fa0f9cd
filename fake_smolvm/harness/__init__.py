"""The pytest plugin: fixtures that put a fake, real or replayed `smolvm` under a test."""
