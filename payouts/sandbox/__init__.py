"""A stand-in for Stripe, for the embedded default and for tests: Stripe's wire protocol, objects,
events and hosted pages over one SQLite file. It knows nothing of the rest of Encore (ADR 0029)."""
