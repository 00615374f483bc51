"""A WeChat official account as a channel: signatures, cipher, messages, the five-second rule."""
