"""What a test sets up: faults, guest commands, the world outside the machines."""
