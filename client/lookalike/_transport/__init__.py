"""How calls reach the servers: channels, retries, streams."""
