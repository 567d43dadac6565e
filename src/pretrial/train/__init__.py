"""Training: segments and their identity, the execution record, the loop, checkpoints."""
