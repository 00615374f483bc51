"""What signing in costs, and what ends with a session."""
