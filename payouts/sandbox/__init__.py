"""Our stand-in for Stripe: its wire protocol, objects, events and hosted pages over one SQLite
file, for the embedded default and the tests. It knows nothing of the rest of Encore (ADR 0029)."""
