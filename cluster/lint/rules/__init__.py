"""The rules of lint, one family a file; the file's name is the family's."""
