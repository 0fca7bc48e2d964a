"""What listeners fetch: playlists, capabilities and the edge that serves live and replay."""
