"""The Celery worker: every task is ask, load, compute, save, tell."""
