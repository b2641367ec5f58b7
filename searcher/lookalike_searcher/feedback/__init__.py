"""Keep what users say of hits, and compute what this says about searches."""
