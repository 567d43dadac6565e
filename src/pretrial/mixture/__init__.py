"""The mixture: which sequence when, and the ledger of what was given."""
