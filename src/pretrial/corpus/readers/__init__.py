"""Readers: each turns one kind of input into records, one file a reader.

Guarantees: what cannot be used comes out as a `Reject` with its reason and place, what is left out by design
as a `Skip`; neither raises.
Does not: apply rules, caps or filters, or write anything.
"""
