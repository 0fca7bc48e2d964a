"""Shared infrastructure. Knows no domain: it may be imported by all and imports none."""

VERSION = "0.1.0"
