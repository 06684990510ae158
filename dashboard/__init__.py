"""Pages over the published marts."""
