"""A company that does not exist, and customers who answer."""
