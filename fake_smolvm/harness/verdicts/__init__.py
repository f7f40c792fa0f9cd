"""What a test is judged by, and what is told of it."""
