"""All that goes out: rendering, sending, follow-up."""
