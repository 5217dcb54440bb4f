"""`api.wsgi:app` for gunicorn and `flask --app api.wsgi`."""

from __future__ import annotations

from api.app import create_app
from tailwatch import logs

logs.configure("web")
app = create_app()
