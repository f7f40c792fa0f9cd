"""The inside of machines: files, images, network, and the kinds of guest that run commands."""
