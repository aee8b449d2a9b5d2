"""The outside world: a heated town with physics behind real protocol servers."""
