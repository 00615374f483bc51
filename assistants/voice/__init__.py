"""Hearing questions and speaking answers: by an address of the team's, or offline in a child."""
