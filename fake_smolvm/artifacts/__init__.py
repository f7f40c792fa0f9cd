"""The `.smolmachine` file: reading a real one or ours, and writing ours in the same shape.

A file is ``[assets: a tar in a zstd frame][manifest: JSON][footer: 64 bytes]``. Ours is a true one
(the real 0.8.0 reads its manifest and unpacks it) but small: the frame's blocks are stored, not
compressed, and the layers hold what the fake's guests hold, not an operating system. Of a real
file the manifest is used; its compressed layers cannot be read here and count as empty.

Nothing a file says is trusted: sizes are checked against the file's own, no member of an archive is
written outside the folder it is unpacked into, and what is unpacked is at most `GROWTH_LIMIT` more
than the file has: a frame may say "a thousand zeros" in four bytes, and a sparse file far more.
"""
