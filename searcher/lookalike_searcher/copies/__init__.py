"""Copies are told from look-alikes here: two fingerprints are laid over each other and compared."""
