"""What a network is worth and what it costs; knows networks, not methods."""
