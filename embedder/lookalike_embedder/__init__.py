"""The embedder: from the bytes of an image file to a vector."""
