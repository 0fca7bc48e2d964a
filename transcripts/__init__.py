"""What was said: transcriber, captions, the final transcript, editing, search."""
