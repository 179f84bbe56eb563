"""Latency, memory and size of networks at inference, measured side by side.

Each network, or `candidate`, runs in a `worker` process of its own. `measurement.measure` lets the
candidates answer in turn; `table` and `figure` show the measurements.
"""
