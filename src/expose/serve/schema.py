"""What the service takes and answers, as an OpenAPI document of the model that is served."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any, Final

from expose.serve.answers import FORMS
from expose.serve.intake import ARROW, CSV, FILES, JSON, LINES, NDJSON, PARQUET, TSV, media_of
from expose.serve.limits import Limits
from expose.serve.models import Served
from expose.serve.problems import MEDIA, SCHEMA, title_of

Schema = dict[str, Any]

PROBLEMS: Final = {
    400: "The request is none of HTTP.",
    401: "There is no token, or another one.",
    403: "The request comes from a page of the web.",
    404: "There is no such path.",
    405: "The path knows no such method.",
    406: "Scores come in none of the forms that are accepted.",
    408: "The body did not come in time.",
    413: "More came than is taken at once.",
    415: "Samples of this model do not come as such a body.",
    421: "The request is meant for another host.",
    422: "The data cannot be used as they are; the detail says what was expected, what came, and what to do.",
    500: "A bug; the log of the service says where.",
    501: "The service lacks a package that such samples need.",
    503: "So many requests are being answered that this one is turned away. Try again after some seconds.",
    504: "The time for the request is over.",
}
VALUE: Final[Schema] = {"type": ["number", "string", "boolean", "null"]}


def described(served: Served, limits: Limits, guarded: bool) -> Schema:
    """The document."""
    paths = {
        "/score": {"post": score(served, limits)},
        "/model": {"get": plain("The model that is served", "What it looks at, and what it was trained on.", "Model")},
        "/health": {"get": {**plain("Whether scores are given", "Needs no token.", "Health"), "security": []}},
        "/metrics": {"get": text("Counters", "In the text format of Prometheus.", "text/plain")},
        "/openapi.json": {"get": text("This document", "As JSON.", JSON, {"type": "object"})},
        "/docs": {"get": text("This document as a page", "It loads nothing from elsewhere.", "text/html")},
    }
    document: Schema = {
        "openapi": "3.1.0",
        "info": {
            "title": "expose",
            "version": version("expose"),
            "description": f"Anomaly scores of {served.scorer.fitted.kind.plural}. Higher is more anomalous.",
        },
        "paths": paths,
        "components": {"schemas": schemas(served)},
    }
    if guarded:
        document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"token": []}]
    return document


def score(served: Served, limits: Limits) -> Schema:
    """The one path that scores."""
    scorer = served.scorer
    kind = scorer.fitted.kind
    known = media_of(kind, scorer.reading)
    return {
        "summary": f"Score {kind.plural}",
        "description": (
            f"Scores are those of `expose score` on the same data, to the bit. At most {limits.rows:,} samples and "
            f"{limits.body:,} bytes, as they are sent and unpacked. A body may be packed: `Content-Encoding: gzip`."
        ),
        "operationId": "score",
        "parameters": [
            {
                "name": "reasons",
                "in": "query",
                "description": "Of each sample so many columns, or places, that make it anomalous, with their share.",
                "schema": {"type": "integer", "minimum": 0, "maximum": 10, "default": 0},
            }
        ],
        "requestBody": {"required": True, "content": {media: body(media, served) for media in known}},
        "responses": {
            "200": {
                "description": "Scores, in the order of the samples.",
                "headers": {
                    "X-Model": header("The model that gave them."),
                    "X-Rows": header("How many samples there are."),
                    "X-Notes": {
                        **header("What is to be said of the data, as a list of JSON; absent if nothing is."),
                        "required": False,
                    },
                },
                "content": {media: answer(media) for media in FORMS},
            },
            **problems(400, 401, 403, 406, 408, 413, 415, 421, 422, 500, 501, 503, 504),
        },
    }


def header(what: str) -> Schema:
    """A header of an answer."""
    return {"description": what, "required": True, "schema": {"type": "string"}}


def problems(*statuses: int) -> Schema:
    """Refusals."""
    content = {MEDIA: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {str(one): {"description": f"{title_of(one)}. {PROBLEMS[one]}", "content": content} for one in statuses}


def body(media: str, served: Served) -> Schema:
    """What a body of a media type holds."""
    binary = {"type": "string", "contentMediaType": media}
    if media == JSON:
        row: Schema = {"$ref": "#/components/schemas/Row"}
        items = {"anyOf": [row, {"type": ["string", "null"]}]} if served.scorer.reading.text is not None else row
        return {"schema": {"type": "array", "items": items, "minItems": 1}}
    if media == FILES:
        file = {"type": "string", "contentMediaType": "application/octet-stream"}
        files = {"type": "array", "items": file, "minItems": 1}
        return {"schema": {"type": "object", "required": ["file"], "properties": {"file": files}}}
    what = {
        CSV: "Rows with a header, as `expose score` reads them; another encoding by `charset`.",
        TSV: "The same with tabs.",
        NDJSON: "A JSON object per line.",
        ARROW: "An Arrow stream without compression of its batches.",
        PARQUET: "A Parquet file.",
        LINES: "Lines of text.",
    }[media]
    return {"schema": {**binary, "description": what}}


def answer(media: str) -> Schema:
    """What an answer of a media type holds."""
    if media == JSON:
        return {"schema": {"$ref": "#/components/schemas/Scores"}}
    return {"schema": {"type": "string", "contentMediaType": media}}


def schemas(served: Served) -> Schema:
    """The parts of which bodies are made."""
    return {
        "Row": row_of(served),
        "Scores": {
            "type": "object",
            "required": ["model", "rows", "notes"],
            "properties": {
                "model": {"type": "string", "description": "The model that gave the scores."},
                "rows": {"type": "array", "items": scored(served)},
                "notes": {
                    "type": "array",
                    "items": {"type": "string"},
                    "description": "What is to be said of the data: columns that are not looked at, values that are "
                    "not written as in training, names that training did not have.",
                },
            },
        },
        "Model": {"type": "object", "required": ["model", "kind", "columns", "threshold"]},
        "Health": {
            "type": "object",
            "required": ["live", "ready"],
            "properties": {"live": {"type": "boolean"}, "ready": {"type": "boolean"}},
        },
        "Problem": SCHEMA,
    }


def row_of(served: Served) -> Schema:
    """A row of the model: its columns, which have to be there, and those that name it."""
    reading = served.scorer.reading
    columns = [one for one in served.columns if one["kind"] != "left out"] if served.scorer.fitted.columns else []
    roles = served.roles
    named = [*roles.get("id", ()), *roles.get("entity", ()), *filter(None, (reading.time, reading.text))]
    looked_at = {one["name"]: {**VALUE, "description": f"{one['kind']}: {one['how']}".strip(": ")} for one in columns}
    return {
        "type": "object",
        "required": sorted({*looked_at, *roles.get("entity", ()), *filter(None, (reading.time,))}),
        "properties": {**{name: VALUE for name in named}, **looked_at},
        "description": "A number may be written as a number or as a text; null, or an empty text, is a missing value.",
    }


def scored(served: Served) -> Schema:
    """A sample of an answer: ids as they came, and what the model says."""
    nullable: Schema = {"type": ["number", "null"]}
    known: dict[str, Schema] = {
        "anomaly_score": {**nullable, "description": "Higher is more anomalous."},
        "is_anomaly": {"type": ["boolean", "null"], "description": "Whether it is above the threshold."},
        "p_value": {
            **nullable,
            "description": "Share of what normal samples would score as high, one that was held out included.",
        },
        "probability": {**nullable, "description": "Of the predicted class."},
    }
    names = ("anomaly_score", "is_anomaly", "p_value", "predicted_class", "probability")
    return {
        "type": "object",
        "required": ["anomaly_score", "is_anomaly"],
        "properties": {name: known.get(name, {}) for name in names},
    }


def plain(summary: str, description: str, name: str) -> Schema:
    """A path that answers JSON."""
    return text(summary, description, JSON, {"$ref": f"#/components/schemas/{name}"})


def text(summary: str, description: str, media: str, schema: Schema | None = None) -> Schema:
    """A path that takes nothing, and its answer."""
    content = {media: {"schema": schema or {"type": "string"}}}
    statuses = (401, 403, 421, 500)
    return {
        "summary": summary,
        "description": description,
        "responses": {
            "200": {"description": summary, "content": content},
            **problems(*statuses),
            **({"503": {"description": "Not ready.", "content": content}} if "Health" in str(schema) else {}),
        },
    }
