"""A mailbox as a channel: what customers write becomes drafts for people, who answer by e-mail."""
