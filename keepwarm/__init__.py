"""The one command; it composes the packages, nobody imports it."""
