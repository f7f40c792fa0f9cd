"""The machines: store, records, lifecycle, guest; knows nothing of argvs or printed text."""
