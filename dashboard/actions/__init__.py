"""What people do, on the pages, over the API and by command: one module per noun."""
