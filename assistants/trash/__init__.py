"""Assistants that were removed: listed for thirty days, then deleted for good."""
