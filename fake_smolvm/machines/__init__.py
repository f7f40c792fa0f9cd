"""The machines: records, what is on disk, life, guest; knows nothing of argvs."""
