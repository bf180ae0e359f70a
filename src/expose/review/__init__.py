"""A page in the browser on which a person looks at suspects and labels them, and the model learns from it."""

from expose.errors import MissingExtraError


def require_web() -> None:
    """Raise MissingExtraError, with the line that installs it, where the packages of the extra are absent."""
    try:
        import fastapi  # noqa: F401
        import jinja2  # noqa: F401
        import python_multipart  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(
            f"A page in the browser needs {error.name}, which is not installed. Install it with: "
            "pip install 'expose[web]'"
        ) from error
