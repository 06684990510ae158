"""Code location 1: ingest, build, check, publish, seal. dbt and Great Expectations live here and only here."""
