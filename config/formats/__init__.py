"""How dates look in each language, where Django's own way is not ours."""
