"""Start the console script `lookalike-embedder`."""

from lookalike_serving.launch import launch


def main() -> None:
    """Run the program, which hears SIGTERM from the beginning."""
    launch("lookalike_embedder.__main__")
