"""The wire, generated from protos/lookalike/v1: `make protos`."""
