"""The web application that respondents meet."""
