"""Benchmark items inside training documents: which documents hold one, and which scores are clean of them.

A study's benchmarks become an index once ("contamination-index", `build`), and each source's corpus is scanned against
it ("contamination", `steps`); `spec` has the definition, the versions and the configurations. What a scan found is read
with `hits`: documents to leave out of training, and hits to show. `clean` says which items each arm saw all the same
(where documents were kept), and which items are clean for all arms of a comparison.
"""
