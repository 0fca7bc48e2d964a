"""Statistics of one received RTP stream: extended sequence, loss, jitter (RFC 3550, A.1 to A.8)."""

from math import inf
from typing import Final

from ingest.rtcp import ReceptionReport, SenderReport

CLOCK_RATE: Final = 48_000
"""Opus always counts RTP time at 48 kHz (RFC 7587, 4.1)."""

_RATE: Final = float(CLOCK_RATE)
_JITTER_LIMIT: Final = 60 * _RATE


class Reception:
    """One SSRC of one peer, from its first packet's extended sequence number on.

    Times are the process's monotonic clock in seconds.
    """

    __slots__ = (
        "_expected_before",
        "_jitter",
        "_received_before",
        "_report_at",
        "_report_ntp",
        "_transit",
        "base",
        "highest",
        "received",
        "ssrc",
    )

    def __init__(self, ssrc: int, first: int) -> None:
        self.ssrc = ssrc
        self.base = first
        self.highest = self.base
        """Extended sequence number: SRTP's rollover counter above, the packet's 16 bits below."""
        self.received = 0
        self._jitter = 0.0
        self._transit = -inf
        self._expected_before = 0
        self._received_before = 0
        self._report_at: float | None = None
        self._report_ntp = 0

    def add(self, seq: int, timestamp: int, now: float) -> None:
        """Counts one packet that SRTP has accepted (so it is no replay)."""
        self.received += 1
        ahead = (seq - self.highest) & 0xFFFF
        if ahead < 0x8000:
            self.highest += ahead
        elif self.highest - (0x10000 - ahead) < self.base:
            # The stream began before the first packet that came.
            self.base = max(0, self.highest - (0x10000 - ahead))
        # Floats only and no calls: this runs for each packet.
        transit = now * _RATE - timestamp
        difference = transit - self._transit
        self._transit = transit
        if difference < 0.0:
            difference = -difference
        # RTP time wraps after 24 h 51 min: such a step says nothing of jitter.
        if difference < _JITTER_LIMIT:
            self._jitter += (difference - self._jitter) * 0.0625

    def on_sender_report(self, report: SenderReport, now: float) -> None:
        self._report_ntp = report.ntp >> 16 & 0xFFFFFFFF
        self._report_at = now

    @property
    def lost(self) -> int:
        """Expected minus received, never below zero."""
        return max(0, self.highest - self.base + 1 - self.received)

    def report(self, now: float) -> ReceptionReport:
        """The block for the next receiver report; begins a new interval for `fraction_lost`."""
        expected = self.highest - self.base + 1
        interval = expected - self._expected_before
        missing = interval - (self.received - self._received_before)
        self._expected_before, self._received_before = expected, self.received
        fraction = min(255, (missing << 8) // interval) if interval > 0 and missing > 0 else 0
        delay = 0 if self._report_at is None else int((now - self._report_at) * 65536)
        return ReceptionReport(
            ssrc=self.ssrc,
            fraction_lost=fraction,
            lost=self.lost,
            highest_seq=self.highest & 0xFFFFFFFF,
            jitter=min(int(self._jitter), 0xFFFFFFFF),
            last_report=self._report_ntp,
            delay=min(delay, 0xFFFFFFFF),
        )
