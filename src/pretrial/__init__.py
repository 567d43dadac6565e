"""Pretrial: controlled trials of pre-training data."""
