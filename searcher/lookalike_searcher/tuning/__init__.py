"""Tune projects in the background: learn a derived space, measure it, cut over to it, watch it, and go back."""
