"""What users say of hits, and what that says about searches."""
