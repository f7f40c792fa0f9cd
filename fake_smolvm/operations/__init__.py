"""What several commands do; commands ask here, and never one another."""
