"""The records: alarms, outages, notices, complaints and the rest that people and law ask for, in a relational database."""

from store.records.engine import open_records, reading, records_of

__all__ = ["open_records", "reading", "records_of"]
