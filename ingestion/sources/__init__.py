"""Sources: what is read into the lake."""
