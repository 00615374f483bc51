"""Language models that vLLM servers answer: where a model is, and its answers from there."""
