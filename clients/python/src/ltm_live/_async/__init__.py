"""The asynchronous half: the source of the synchronous one (scripts/halves.py)."""
