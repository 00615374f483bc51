"""What drf-spectacular says of /api/v1 as a whole."""

from pathlib import Path
from typing import Any


def describe_api(base: Path, version: str) -> dict[str, Any]:
    """The setting SPECTACULAR_SETTINGS."""
    return {
        "TITLE": "Lathe API",
        "DESCRIPTION": (base / "web/reference/introduction.md").read_text(),
        "VERSION": version,
        "SERVE_INCLUDE_SCHEMA": False,
        "SCHEMA_PATH_PREFIX": r"/api/v1",
        **dict.fromkeys(("SWAGGER_UI_DIST", "SWAGGER_UI_FAVICON_HREF", "REDOC_DIST"), "SIDECAR"),
        "SWAGGER_UI_SETTINGS": {"deepLinking": True, "docExpansion": "none"},
        "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
        "SERVE_AUTHENTICATION": [],
        "POSTPROCESSING_HOOKS": [
            "inference.openai.reference.add_openai_operations",
            "web.reference.shapes.describe_shapes",
            "web.reference.examples.add_examples",
        ],
    }
