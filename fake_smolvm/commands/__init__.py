"""One module per command, each with `run(matches, host) -> int`; imported only when it runs."""
