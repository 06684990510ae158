"""All that comes in: CRM exports, answers of other tools, and the collector that respondents meet."""
