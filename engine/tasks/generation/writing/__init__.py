"""How answers are written, token by token: choosing, constraints, many answers together."""
