"""Sandboxes: where the code runs."""
