"""What `./run` needs to be everything at once: its environment, local PostgreSQL and Valkey, supervision, the page."""
