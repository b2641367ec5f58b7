"""What users would take instead of the searcher: each holds the same images, and is asked for as good an answer."""
