"""How well copies of a photo are found and told from look-alikes; `make bench-copies`."""
