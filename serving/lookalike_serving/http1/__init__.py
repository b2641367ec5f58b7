"""HTTP/1.1 as our programs serve it: uvicorn, with bounds on whatever a stranger sends, or does not send.

`limits` holds the numbers. `acceptor` takes connections in, as many as `connections` has places for. `protocol` bounds
what comes on each of them and how long it may take, and closes them by way of `closing`. `server` puts them together.
"""
