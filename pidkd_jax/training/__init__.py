"""Trains cohorts: named members in lock step on the same batches."""
