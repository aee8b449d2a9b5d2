"""What people see: pages, the public board, login."""
