"""Serve any network: an ONNX file with a TOML beside it, computed by ONNX Runtime. See `docs/models.md`."""
