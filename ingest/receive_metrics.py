"""What the receiving process tells Prometheus, read off its counters once a second."""

from typing import Final

from prometheus_client import Counter, Gauge

from ingest.endpoint import Dropped
from ingest.receiver import Receiver

ROOMS: Final = Gauge("encore_ingest_rooms", "Rooms received by this process.")
PEERS: Final = Gauge("encore_ingest_peers", "WHIP sessions.", ("state",))
DATAGRAMS: Final = Counter(
    "encore_ingest_datagrams",
    "UDP datagrams read: all, and by why nothing came of them (strange_*: of no session).",
    ("kind",),
)
PACKETS: Final = Counter(
    "encore_ingest_journal_packets",
    "RTP packets written to journals or lost to the disk.",
    ("kind",),
)


class ReceiveMetrics:
    """Adds what has come since the last look."""

    def __init__(self) -> None:
        self._seen: dict[Counter, float] = {}

    def observe(self, receiver: Receiver) -> None:
        endpoint, peers = receiver.endpoint, receiver.endpoint.peers
        established = sum(peer.established for peer in peers)
        ROOMS.set(len(receiver.rooms))
        PEERS.labels("established").set(established)
        PEERS.labels("waiting").set(len(peers) - established)
        self._advance(DATAGRAMS.labels("all"), endpoint.datagrams)
        for kind in Dropped:
            self._advance(DATAGRAMS.labels(kind), endpoint.dropped[kind])
        self._advance(PACKETS.labels("written"), receiver.packets_written)
        self._advance(PACKETS.labels("lost"), receiver.packets_lost)

    def _advance(self, counter: Counter, total: int) -> None:
        counter.inc(total - self._seen.get(counter, 0))
        self._seen[counter] = total
