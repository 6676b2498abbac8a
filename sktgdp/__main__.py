"""``python -m sktgdp``: the command line."""

import sys

from sktgdp.cli import main

sys.exit(main())
