"""What each protocol has of its own; one table, ``SOURCES``."""
