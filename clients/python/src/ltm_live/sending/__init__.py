"""Calls of the HTTP API: what is sent, and when it is sent again."""
