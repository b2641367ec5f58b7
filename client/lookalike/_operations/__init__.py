"""Ask the servers: there is one module for each kind of thing."""
