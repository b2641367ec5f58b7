"""Vectors of products as a shop photographs them: alike in few directions, different in others."""

import numpy as np


def clusters(products: int, *, images: int = 4, noise: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Vectors of length 1, float32 of shape (products * images, 512), and the number of each one's product.

    What tells products apart is in 400 directions, and what differs from photo to photo in 40 others, more strongly.
    """
    random = np.random.default_rng(0)
    raw = np.zeros((products * images, 512))
    raw[:, :400] = np.repeat(random.normal(size=(products, 400)), images, axis=0) / 20
    raw[:, :400] += noise * random.normal(size=(len(raw), 400)) / 20
    raw[:, 400:440] = 2 * noise * random.normal(size=(len(raw), 40)) / 40**0.5
    vectors = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    return vectors.astype(np.float32), np.repeat(np.arange(products), images)
