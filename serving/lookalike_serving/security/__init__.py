"""Decide which caller may do what: certificates, tokens, scopes, rates, and the audit log."""
