"""What Slack and Discord share: the story of a turn, splitting, taming, pacing, access and commands."""
