"""The records: alarms, outages, notices, complaints and the rest that people and law ask for, in a relational database."""

from store.records.engine import RecordsMark, open_records, reading, records_of

__all__ = ["RecordsMark", "open_records", "reading", "records_of"]
