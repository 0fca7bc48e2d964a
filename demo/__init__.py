"""The scripted room: three WebRTC speakers who talk to a real Encore."""
