"""One file a kind of task; `worker.app` imports them all."""
