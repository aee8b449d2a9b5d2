"""What the rules decided, written into the records: every object once, every transition a row."""
