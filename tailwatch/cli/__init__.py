"""The `tailwatch` command line; `./run COMMAND` is this. One module a group of commands."""
