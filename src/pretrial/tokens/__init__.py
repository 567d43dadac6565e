"""Tokens: the tokenizer, and memory-mapped shards with document boundaries."""
