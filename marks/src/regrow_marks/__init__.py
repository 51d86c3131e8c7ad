"""Leave directories out of backups; see README.md."""

__version__ = "0.1.0"
