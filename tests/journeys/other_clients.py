"""What LiteLLM and LangChain's ChatOpenAI and OpenAIEmbeddings get from a running Lathe.

    python other_clients.py BASE_URL API_KEY MODEL

Runs in an environment of its own, which holds these clients and nothing of ours.
"""

import sys

import litellm
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

QUESTION = "What colour is snow 1?"
ENCODER = "all-MiniLM-L6-v2"


def main() -> None:
    base, key, model = sys.argv[1:4]
    ask_with_litellm(base, key, model)
    ask_with_langchain(base, key, model)
    print("all well")


def ask_with_litellm(base: str, key: str, model: str) -> None:
    facts = {"model": f"openai/{model}", "api_base": base, "api_key": key}
    facts |= {"messages": [{"role": "user", "content": QUESTION}], "max_tokens": 8}
    facts |= {"temperature": 0, "max_retries": 0}
    whole = litellm.completion(**facts)
    parts = litellm.completion(**facts, stream=True)
    text = "".join(part.choices[0].delta.content or "" for part in parts)
    assert text == whole.choices[0].message.content
    assert whole.usage.completion_tokens > 0
    made = litellm.embedding(
        model=f"openai/{ENCODER}", input=["snow", "ice"], api_base=base, api_key=key
    )
    assert [len(row["embedding"]) for row in made.data] == [384, 384]
    for kind, change in (
        (litellm.NotFoundError, {"model": "openai/nobody"}),
        (litellm.AuthenticationError, {"api_key": "x"}),
        (litellm.BadRequestError, {"temperature": 3}),
    ):
        try:
            litellm.completion(**(facts | change))
        except kind:
            continue
        raise AssertionError(f"no {kind.__name__}")


def ask_with_langchain(base: str, key: str, model: str) -> None:
    chat = ChatOpenAI(model=model, base_url=base, api_key=key, max_tokens=8, temperature=0)
    whole = chat.invoke(QUESTION)
    assert "".join(part.content for part in chat.stream(QUESTION)) == whole.content
    assert whole.usage_metadata["output_tokens"] > 0
    # By default it sends token ids of OpenAI's encoding (litellm brings the table that it reads).
    counting = OpenAIEmbeddings(model=ENCODER, base_url=base, api_key=key)
    plain = OpenAIEmbeddings(
        model=ENCODER, base_url=base, api_key=key, check_embedding_ctx_length=False
    )
    texts = ["Fresh snow, 3 cm", "Glace et neige: ❄ 雪"]
    for mine, theirs in zip(
        counting.embed_documents(texts), plain.embed_documents(texts), strict=True
    ):
        assert sum(a * b for a, b in zip(mine, theirs, strict=True)) > 0.9999
    assert len(counting.embed_query("snow")) == 384


if __name__ == "__main__":
    main()
