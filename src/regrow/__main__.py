"""``python -m regrow``."""

from regrow.cli.main import main

raise SystemExit(main())
