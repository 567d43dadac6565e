"""Corpora: a reader a file, a rule family a file, shards, selection."""
