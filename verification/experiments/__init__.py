"""What this project does with verification: the claims ledger, suites, simulations, trained upgrades."""
