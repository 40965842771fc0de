"""`python -m sweeps` is `starling`."""

from sweeps.cli import main

raise SystemExit(main())
