"""Notations in which people keep chats."""
