"""All storage: the journal (arrival order, durable), the history (long term), the records (relational)."""
