"""The two front doors, Dagster and the command line, over the same functions."""
