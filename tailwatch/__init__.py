"""Tailwatch: what the web server, the workers and the scheduler share."""

__version__ = "0.4.0"
