"""The place of a test, the `smolvm` first on PATH there, and the journal of its calls."""
