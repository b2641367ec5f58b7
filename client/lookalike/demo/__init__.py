"""The demonstration: real photos, altered copies of them, real servers, real answers."""
