"""Pictures: how they are decoded and cut to size, what they are described by, who looks at them."""
