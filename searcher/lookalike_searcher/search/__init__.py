"""Searches: what is asked, how it is ranked, and how well."""
