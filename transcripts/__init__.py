"""What was said: transcriber, captions, search. Empty until its first issue lands."""
