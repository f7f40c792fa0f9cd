"""The machines: their records, where they are on disk, their processes; knows nothing of argvs."""
