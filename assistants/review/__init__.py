"""The review of what was decided: gaps, judgements, people's replies, and what they teach."""
