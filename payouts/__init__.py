"""Stars and money: the ledger, its lots and invariants, tips, payouts."""
