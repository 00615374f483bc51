"""What the demo shows beside its first fine-tune: a small one of every other task, and traffic."""
