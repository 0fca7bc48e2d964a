"""The certificate authorities that clients of ours trust."""

import functools
import ssl

import httpx


@functools.cache
def authorities() -> ssl.SSLContext:
    """For `verify=` of an httpx client: read once a process.

    A client that reads them itself computes for 40 ms, in which its event loop stands still: no
    packet of a speaker leaves, and on a busy machine that is half a second.
    """
    return httpx.create_ssl_context()
