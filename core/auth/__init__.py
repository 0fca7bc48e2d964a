"""Who is calling: platforms, users, API keys, sessions, room tokens."""
