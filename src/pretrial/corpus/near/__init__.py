"""Near-duplicates: signatures a shard, candidates by bands, verification by true Jaccard, components."""
