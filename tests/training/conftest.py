from tests.engine.conftest import models_folder  # noqa: F401
