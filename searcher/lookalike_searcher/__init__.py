"""The searcher keeps projects, images and references in PostgreSQL, and ranks images by cosine."""

import os

# Many searches run beside each other, and their matrices are small: with re-ranking of 400 vectors a search takes 7 ms
# of a processor by one thread, and 32 by two, which mostly wait for each other. NumPy reads it when it is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
