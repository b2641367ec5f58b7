"""What every server here is made of: its life, its health, its errors, its logs, and who is let in."""
