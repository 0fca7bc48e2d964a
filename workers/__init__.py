"""Queue, retry and schedule policy; job bodies of a few lines."""
