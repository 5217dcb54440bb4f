"""Measuring a stored portfolio: what it needs is read at one instant, measured, and made into the snapshot's row.

The worker keeps the result; whoever looks again at a past one (replay) or ahead (what-if) uses the same three steps.
"""
