"""What wakes the workers: the dispatcher (what is behind) and beat (what is due by the clock)."""
