"""What was left out comes back: from the records, with the user's own tools."""
