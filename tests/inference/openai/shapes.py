"""The answers that OpenAI's clients expect, as JSON Schemas written for these tests."""

from typing import Any

import jsonschema

INTEGER, TEXT, NUMBER = {"type": "integer"}, {"type": "string"}, {"type": "number"}
MAYBE_TEXT, MAYBE_INTEGER = {"type": ["string", "null"]}, {"type": ["integer", "null"]}


def shape(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "required": list(required),
        "properties": required | (optional or {}),
    }


def always(word: str) -> dict[str, Any]:
    return {"const": word}


def one_of(*words: str) -> dict[str, Any]:
    return {"enum": list(words)}


def list_of(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item}


FILE = shape(
    {
        "id": {"type": "string", "pattern": "^file-"},
        "object": always("file"),
        "bytes": INTEGER,
        "created_at": INTEGER,
        "filename": TEXT,
        "purpose": one_of("fine-tune", "fine-tune-results", "batch", "batch_output"),
        "status": one_of("uploaded", "processed", "error"),
    },
    {"expires_at": INTEGER, "status_details": TEXT},
)
DELETED = shape({"id": TEXT, "object": TEXT, "deleted": always(True)})
UPLOAD = shape(
    {
        "id": TEXT,
        "bytes": INTEGER,
        "created_at": INTEGER,
        "expires_at": INTEGER,
        "filename": TEXT,
        "purpose": TEXT,
        "status": one_of("pending", "completed", "cancelled", "expired"),
    },
    {"object": always("upload"), "file": {"anyOf": [FILE, {"type": "null"}]}},
)
PART = shape(
    {"id": TEXT, "created_at": INTEGER, "object": always("upload.part"), "upload_id": TEXT}
)
AUTO_OR_NUMBER = {"anyOf": [always("auto"), NUMBER]}
HYPERPARAMETERS = shape(
    {
        "n_epochs": AUTO_OR_NUMBER,
        "batch_size": AUTO_OR_NUMBER,
        "learning_rate_multiplier": AUTO_OR_NUMBER,
    }
)
ERROR = shape({"message": TEXT, "type": TEXT, "param": MAYBE_TEXT, "code": MAYBE_TEXT})
ERROR_RESPONSE = shape({"error": ERROR})
JOB = shape(
    {
        "id": {"type": "string", "pattern": "^ftjob-"},
        "object": always("fine_tuning.job"),
        "created_at": INTEGER,
        "finished_at": MAYBE_INTEGER,
        "model": TEXT,
        "fine_tuned_model": MAYBE_TEXT,
        "organization_id": TEXT,
        "status": one_of(
            "validating_files", "queued", "running", "paused", "succeeded", "failed", "cancelled"
        ),
        "hyperparameters": HYPERPARAMETERS,
        "training_file": TEXT,
        "validation_file": MAYBE_TEXT,
        "result_files": list_of(TEXT),
        "trained_tokens": MAYBE_INTEGER,
        "error": {
            "anyOf": [
                shape({"code": TEXT, "message": TEXT, "param": MAYBE_TEXT}),
                {"type": "null"},
            ]
        },
        "seed": INTEGER,
    },
    {
        "estimated_finish": MAYBE_INTEGER,
        "integrations": list_of({"type": "object"}),
        "method": {"type": "object"},
        "metadata": {"type": ["object", "null"]},
    },
)
EVENT = shape(
    {
        "id": TEXT,
        "object": always("fine_tuning.job.event"),
        "created_at": INTEGER,
        "level": one_of("info", "warn", "error"),
        "message": TEXT,
    },
    {"type": one_of("message", "metrics"), "data": {"type": "object"}},
)
CHECKPOINT = shape(
    {
        "id": TEXT,
        "object": always("fine_tuning.job.checkpoint"),
        "created_at": INTEGER,
        "fine_tuning_job_id": TEXT,
        "fine_tuned_model_checkpoint": TEXT,
        "step_number": INTEGER,
        "metrics": {"type": "object", "additionalProperties": NUMBER},
    }
)
MODEL = shape({"id": TEXT, "object": always("model"), "created": INTEGER, "owned_by": TEXT})
USAGE = shape({"prompt_tokens": INTEGER, "completion_tokens": INTEGER, "total_tokens": INTEGER})
TOKEN_LOGPROB = shape(
    {
        "token": TEXT,
        "logprob": NUMBER,
        "bytes": {"anyOf": [list_of(INTEGER), {"type": "null"}]},
        "top_logprobs": list_of(shape({"token": TEXT, "logprob": NUMBER})),
    }
)
LOGPROBS = {
    "anyOf": [
        {"type": "null"},
        shape({"content": {"anyOf": [list_of(TOKEN_LOGPROB), {"type": "null"}]}}),
    ]
}
FINISH = one_of("stop", "length", "tool_calls", "content_filter", "function_call")
CHAT = shape(
    {
        "id": {"type": "string", "pattern": "^chatcmpl-"},
        "object": always("chat.completion"),
        "created": INTEGER,
        "model": TEXT,
        "choices": list_of(
            shape(
                {
                    "index": INTEGER,
                    "message": shape(
                        {
                            "role": always("assistant"),
                            "content": MAYBE_TEXT,
                            "refusal": MAYBE_TEXT,
                        }
                    ),
                    "logprobs": LOGPROBS,
                    "finish_reason": FINISH,
                }
            )
        ),
        "usage": USAGE,
    }
)
COMPLETION = shape(
    {
        "id": TEXT,
        "object": always("text_completion"),
        "created": INTEGER,
        "model": TEXT,
        "choices": list_of(
            shape(
                {
                    "text": TEXT,
                    "index": INTEGER,
                    "logprobs": {"type": ["object", "null"]},
                    "finish_reason": one_of("stop", "length", "content_filter"),
                }
            )
        ),
        "usage": USAGE,
    }
)
EMBEDDINGS = shape(
    {
        "object": always("list"),
        "data": list_of(
            shape(
                {
                    "object": always("embedding"),
                    "index": INTEGER,
                    "embedding": {"anyOf": [list_of(NUMBER), TEXT]},
                }
            )
        ),
        "model": TEXT,
        "usage": shape({"prompt_tokens": INTEGER, "total_tokens": INTEGER}),
    }
)


def page_of(item: dict[str, Any]) -> dict[str, Any]:
    return shape({"object": always("list"), "data": list_of(item), "has_more": {"type": "boolean"}})


def require_shape(content: object, expected: dict[str, Any]) -> None:
    jsonschema.validate(content, expected)
