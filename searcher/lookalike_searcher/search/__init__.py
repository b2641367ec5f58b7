"""Search: resolve the query, rank images, and measure how well."""
