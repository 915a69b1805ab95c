"""The same rows in a plane for every layer, one after the other."""
