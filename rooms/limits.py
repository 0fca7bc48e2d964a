"""How often the API of rooms may be called; buckets are shared by all web machines."""

from datetime import timedelta

from core.buckets import Limit

CREATE = Limit("room-create", 300, timedelta(hours=1))
CHANGE = Limit("room-change", 600, timedelta(minutes=1), lease=5)
STREAM = Limit("room-stream", 1200, timedelta(minutes=1), local=True)
