"""Reach the servers: channels, retries and streams."""
