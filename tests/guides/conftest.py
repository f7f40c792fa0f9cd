"""The guides' own files are run by `test_guides.py`, each in a copy, as their readers run them."""

collect_ignore_glob = ["*/*"]
