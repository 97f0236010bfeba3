"""A chat bot whose only action is Python."""
