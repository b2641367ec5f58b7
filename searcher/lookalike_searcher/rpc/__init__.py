"""Serve the wire: parse and check requests, call the domain, and build answers."""
