"""What is owed to users and dispatchers goes out (R5): recorded before it is sent, sent at least once, with one key.

transitions of notices, warnings ──▶ outbox: one row a message and channel ──▶ a channel ──▶ its result in the row
"""
