"""Models: who writes the code."""
