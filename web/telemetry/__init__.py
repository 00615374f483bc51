"""What a process tells those who run it: its figures, whether it is ready, and its log lines."""
