"""What a fine-tune will take and cost, said before it starts and held while it runs."""
