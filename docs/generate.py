"""Writes what is made from the models in settings/, settings.md and more (`outputs`): `python -m docs.generate`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docs import arguments
from settings import Settings

ROOT = Path(__file__).resolve().parent.parent
PROJECT = "flask-origin"
Schema = dict[str, Any]

MINIMAL = """\
config:
  flask-origin:site: {zone: example.com, hostname: example.com}
  flask-origin:host: {cloud: digitalocean}
  flask-origin:operator: {ranges: current}
  flask-origin:app:
    source: ../my-app
    entrypoint: my_app:create_app()
"""

INTRODUCTION = f"""\
# Settings

<!-- Generated from settings/ by `python -m docs.generate`. -->

What a stack file, `Pulumi.<stack>.yaml`, may say. This is a whole one:

```yaml
{MINIMAL}```

`Pulumi.dev.yaml` shows every setting at its default, `Pulumi.aws.yaml` what differs on AWS. An editor that knows YAML
schemas completes and checks a file that starts with
`# yaml-language-server: $schema=schema/settings.schema.json`. Whatever is refused is refused before anything is made,
one line for each problem: the key, the value, what is allowed, what to do.
"""

SECRETS = """\
## secrets

The app's secret environment: `flask-origin:secrets`, names and values, encrypted by Pulumi. They reach the app as
environment variables, beside `app.environment`.

```sh
pulumi config set --secret --path secrets.DATABASE_URL
```

`SECRET_KEY` is made for you, 64 characters, and kept, unless you set it. One that is shorter than 32 characters or that
can be guessed is refused.

## Credentials

| what | environment | or `pulumi config set --secret` |
|---|---|---|
| Cloudflare | `CLOUDFLARE_API_TOKEN` | `cloudflare:apiToken` |
| DigitalOcean | `DIGITALOCEAN_TOKEN` | `digitalocean:token` |
| AWS | whatever the AWS tools find: profile, SSO, `AWS_ACCESS_KEY_ID`, role | `aws:profile` |

The rehearsal needs none of them.
"""


def stack_schema() -> Schema:
    """JSON Schema (2020-12) of a stack file: Pulumi's own keys are left alone, this project's are closed."""
    models = Settings.model_json_schema()
    definitions = {name: _tidy(model) for name, model in models["$defs"].items()}
    sections = {f"{PROJECT}:{name}": _tidy(section) for name, section in models["properties"].items()}
    sections[f"{PROJECT}:secrets"] = {
        "description": "The app's secret environment: pulumi config set --secret --path secrets.NAME",
        "type": "object",
        "additionalProperties": {
            "type": "object",
            "properties": {"secure": {"type": "string"}},
            "required": ["secure"],
            "additionalProperties": False,
        },
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A stack of flask-origin",
        "type": "object",
        "required": ["config"],
        "properties": {
            "config": {
                "type": "object",
                "properties": sections,
                "patternProperties": {f"^(?!{PROJECT}:)": {}},
                "additionalProperties": False,
                "required": [f"{PROJECT}:{name}" for name in models["required"]],
            }
        },
        "$defs": definitions,
    }


def _tidy(schema: Any) -> Any:
    """Without the titles that pydantic makes of names, and without the defaults of whole sections."""
    if isinstance(schema, list):
        return [_tidy(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    drop = {"default"} if "$ref" in schema else set()
    if str(schema.get("title", "a"))[0].isupper():
        drop.add("title")
    return {key: _tidy(value) for key, value in schema.items() if key not in drop}


def reference() -> str:
    """docs/settings.md."""
    schema = stack_schema()
    definitions: dict[str, Schema] = schema["$defs"]

    def tables(key: str, model: Schema, heading: str) -> Iterator[str]:
        yield f"{heading} {key}\n\n{model['description']}\n"
        yield "| setting | takes | default | what it does |\n|---|---|---|---|"
        nested: list[tuple[str, Schema]] = []
        for name, field in model["properties"].items():
            if "$ref" in field or "oneOf" in field:
                nested += [
                    (f"{key.split(' ')[0]}.{name}{label}", model) for label, model in options(field, definitions)
                ]
                continue
            yield f"| `{name}` | {_takes(field)} | {_default(name, field, model)} | {field['description']} |"
        yield ""
        for path, section in nested:
            yield from tables(path, section, f"{heading}#")

    parts = [INTRODUCTION]
    for full, section in schema["properties"]["config"]["properties"].items():
        key = full.partition(":")[2]
        for label, model in options(section, definitions):
            parts.append("\n".join(tables(f"{key}{label}", model, "##")))
    return "\n".join([*parts, SECRETS])


def options(section: Schema, definitions: dict[str, Schema]) -> Iterator[tuple[str, Schema]]:
    """The models that may stand in a section, each with its tag in brackets where there are several."""
    for option in section.get("oneOf", [section] if "$ref" in section else []):
        model = definitions[_name(option)]
        tag = next(iter(model["properties"].values())).get("const")
        yield (f" ({tag})" if "oneOf" in section else ""), model


def _name(pointer: Schema) -> str:
    return str(pointer["$ref"]).rpartition("/")[2]


def _takes(field: Schema) -> str:
    options = [option for option in field.get("anyOf", []) if option != {"type": "null"}]
    choices = field.get("enum") or ([field["const"]] if "const" in field else [])
    if choices:
        return ", ".join(f"`{_plain(choice)}`" for choice in choices)
    if "title" in field:
        return str(field["title"])
    if options:
        return _takes(field | options[0] | {"anyOf": []})
    match field["type"]:
        case "integer":
            return f"{field['minimum']} to {field['maximum']}"
        case "boolean":
            return "`true`, `false`"
        case "array":
            return f"list: {_takes(field['items'])}"
        case "object":
            return "names and values"
        case _:
            return "text like " + " or ".join(f"`{example}`" for example in field["examples"])


def _default(name: str, field: Schema, model: Schema) -> str:
    if name in model.get("required", []):
        return "**required**"
    default = field.get("default")
    return "" if default in (None, []) else f"`{_plain(default)}`"


def _plain(value: object) -> str:
    """A value as YAML has it; only text that YAML would read as something else is in quotes."""
    quoted = isinstance(value, str) and value.replace(".", "").isdigit()
    return value if isinstance(value, str) and not quoted else json.dumps(value)


def outputs() -> dict[Path, str]:
    """The generated files and what they should say."""
    return {
        ROOT / "docs/settings.md": reference(),
        ROOT / "package/arguments.py": arguments.source(),
        ROOT / "schema/settings.schema.json": json.dumps(stack_schema(), indent=2) + "\n",
    }


def main() -> int:
    for path, text in outputs().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        print(f"wrote {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
