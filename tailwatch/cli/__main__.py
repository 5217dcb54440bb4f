"""`python -m tailwatch.cli`."""

import sys

from tailwatch.cli.app import main

sys.exit(main(sys.argv[1:]))
