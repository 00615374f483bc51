"""From what was decided to what is taught: judgements become phrasings."""
