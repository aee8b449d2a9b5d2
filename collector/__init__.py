"""Device → reading → journal."""
