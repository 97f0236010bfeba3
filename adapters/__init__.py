"""How people reach codeact-bot: one module per platform."""
