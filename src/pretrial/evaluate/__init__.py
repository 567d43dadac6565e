"""Evaluation: bits per byte, cloze, anchors and benchmarks, each a step on a checkpoint."""
