"""``python -m regrow``."""

from regrow.cli.main import script

raise SystemExit(script())
