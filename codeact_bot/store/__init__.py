"""Stores: where everything is kept."""
