"""Feature files: what is in them is checked when they are opened, their rows are read when asked for; and writers."""
