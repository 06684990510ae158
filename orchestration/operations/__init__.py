"""Code location 2: send, listen, follow up, import answers. Neither dbt nor Great Expectations is imported here."""
