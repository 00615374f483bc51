"""Text generation: language models trained on chats."""
