"""The nouns of district heating as Keepwarm uses them: pure values and pure functions, no input or output."""
