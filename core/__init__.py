"""Shared infrastructure. Knows no domain: it may be imported by all and imports none."""
