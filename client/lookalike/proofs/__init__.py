"""Show proofs to people: what was done to a photo, in words and in pictures."""
