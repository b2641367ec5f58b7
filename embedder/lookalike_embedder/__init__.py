"""The embedder turns the bytes of an image file into a vector."""
