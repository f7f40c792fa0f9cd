"""What the Rust crates under smolvm say and read, to the byte. Nothing here knows of smolvm."""
