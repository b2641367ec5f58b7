"""Who may do what: certificates, tokens, scopes, rates, and what is written down of it."""
