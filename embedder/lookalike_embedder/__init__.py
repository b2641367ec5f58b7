"""The embedder turns the bytes of an image file into a vector."""

import os

# From 1.29 on, ONNX Runtime tells its makers about each process that imports it, and keeps an identifier of the machine
# in the home folder. It asks this once, when it is imported, which only modules of this package do.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
