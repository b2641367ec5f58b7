"""Serve HTTP/1.1 by uvicorn, with limits on everything that a client sends, or does not send.

`limits` holds the numbers. `acceptor` accepts connections, as many as `connections` has places for. `protocol` limits
the data on each connection and each wait, and closes connections by `closing`. `server` puts them together.
"""
