"""What a test sees: calls, and machines from outside."""
