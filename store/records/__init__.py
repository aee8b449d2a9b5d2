"""The records: alarms, outages, complaints, notices, accounts, audit. SQLAlchemy Core; SQLite by default, PostgreSQL by setting."""
