"""Images and their references: how they are written, read and exported."""
