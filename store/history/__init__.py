"""The history: where readings stay for good. One protocol, one table of back ends."""
