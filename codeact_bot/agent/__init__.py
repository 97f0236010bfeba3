"""The agent: from messages to actions to observations."""
