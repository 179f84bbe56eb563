"""Devices, processes and signals: how one training runs on several of them."""
