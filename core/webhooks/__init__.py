"""Signed notifications to the servers of the platforms (Standard Webhooks)."""
