"""Backups: one file made while everything runs, restored in one transaction; and those made by the clock."""
