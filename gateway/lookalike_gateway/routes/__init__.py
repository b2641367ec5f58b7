"""Each module here has a router: what can be asked, and which handler does it."""
