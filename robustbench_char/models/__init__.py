"""Models: encoders, heads, and the systems that are compared (`bert` for now). Needs the extra `models`."""
