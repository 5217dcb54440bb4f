"""The web server: HTTP API, live events, and the built page."""
