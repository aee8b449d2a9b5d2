"""What the pages show, as plain values: read from the stores, shared by all viewers, apart from how it looks."""
