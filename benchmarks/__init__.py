"""How fast eligibility is, against one hand-written query that does the same for the programmes of this folder only."""
