"""How fast the sandboxes are, beside the bare limit: `python -m benchmarks`."""
