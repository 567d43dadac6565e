"""Running planned steps on this machine: one process, a pool beside it, live progress."""
