"""Snapshots of command lines, and what each version of smolvm makes of them."""
