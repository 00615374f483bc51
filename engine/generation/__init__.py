"""Language models taught by examples of answers: chats, templates, batches, sampling."""
