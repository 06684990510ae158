"""The web application that respondents meet: survey page, unsubscribe page, open pixel, previews."""
