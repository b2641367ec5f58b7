"""The gateway serves an HTTP/JSON API over the client library, and a page for photos. It needs the extra `http`.

`operations` lists what can be asked, and is where the routes and the OpenAPI document both come from; `problems` has
the one table from errors to HTTP; nothing is kept between two requests.
"""
