"""The programs of a guest that bashkit lacks, or has in a way that no guest has."""
