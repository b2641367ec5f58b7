"""Start the console script `lookalike-searcher`."""

from lookalike_serving.launch import launch


def main() -> None:
    """Run the program, which hears SIGTERM from the beginning."""
    launch("lookalike_searcher.__main__")
