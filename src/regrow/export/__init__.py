"""Exclude files: directories in the syntax of backup programs that read no mark.

To support one more program, write a module with its ``FORMAT``, name it in ``formats.py``, and add
a row to ``tests/export/backups.py`` and a section to ``docs/export.md``.
"""
