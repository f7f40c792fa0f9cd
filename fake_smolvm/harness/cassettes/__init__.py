"""What the real smolvm said to a test, recorded and played again."""
