"""The service desk's pages in parts: the queue, one complaint, what is done with it, call-backs, visits."""
