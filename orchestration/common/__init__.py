"""What both code locations of Dagster share; imports neither dbt nor Great Expectations."""
