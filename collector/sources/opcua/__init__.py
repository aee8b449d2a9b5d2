"""OPC UA: a session that reads, a feed of what the server notifies, and the stations behind both. Nothing here writes or calls."""
