"""Write, read and export images and their references."""
