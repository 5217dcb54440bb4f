"""What `./run` needs to be everything at once: environment, PostgreSQL and Valkey, supervision, the built page."""
