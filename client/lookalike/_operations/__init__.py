"""What the client asks of the servers, one module for each kind of thing."""
