"""Stars and money: ledger, tips, payouts. Empty until its first issue lands."""
