"""The face: an HTTP/JSON API over the client library, and a page on which one drops a photo. Needs the extra `http`.

`operations` lists what can be asked, and is where the routes and the OpenAPI document both come from; `problems` has
the one table from errors to HTTP; nothing is kept between two requests.
"""
