"""Small networks, data sets and their training."""
