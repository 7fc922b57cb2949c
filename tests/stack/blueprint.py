#!/usr/bin/env python3
"""Holds docker/authentik/freehunt.yaml against itself, and against Authentik's own schema where that is installed.

    tests/stack/blueprint.py                                  references, order, required fields
    pip install authentik-client==2025.8.6 && tests/stack/blueprint.py    also every field and value, by the models of the
                                                              generated client of that version

Needs PyYAML. Authentik validates a blueprint with the serializers that its API uses, so the API's models know its fields.
"""

import importlib
import pathlib
import sys

import yaml

FILE = pathlib.Path(__file__).parents[2] / "docker/authentik/freehunt.yaml"
SOME_UUID = "00000000-0000-4000-8000-000000000000"

MODELS = {
    "authentik_core.group": "GroupRequest",
    "authentik_core.application": "ApplicationRequest",
    "authentik_flows.flow": "FlowRequest",
    "authentik_flows.flowstagebinding": "FlowStageBindingRequest",
    "authentik_stages_prompt.prompt": "PromptRequest",
    "authentik_stages_prompt.promptstage": "PromptStageRequest",
    "authentik_stages_user_write.userwritestage": "UserWriteStageRequest",
    "authentik_stages_user_login.userloginstage": "UserLoginStageRequest",
    "authentik_stages_identification.identificationstage": "IdentificationStageRequest",
    "authentik_policies_expression.expressionpolicy": "ExpressionPolicyRequest",
    "authentik_policies_password.passwordpolicy": "PasswordPolicyRequest",
    "authentik_providers_oauth2.oauth2provider": "OAuth2ProviderRequest",
}


class Reference:
    def __init__(self, kind, arguments):
        self.kind, self.arguments = kind, arguments

    def stand_in(self, integer):
        if self.kind in ("KeyOf", "Find"):
            return 1 if integer else SOME_UUID
        if self.kind == "Env":
            return self.arguments[1] if isinstance(self.arguments, list) else "x"
        return self.arguments[0].replace("%s", "https://example.org")


class Loader(yaml.SafeLoader):
    pass


def construct(loader, kind, node):
    if isinstance(node, yaml.SequenceNode):
        return Reference(kind, loader.construct_sequence(node, deep=True))
    return Reference(kind, loader.construct_scalar(node))


Loader.add_multi_constructor("!", construct)


def references(value):
    if isinstance(value, Reference):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def resolved(value, integer=False):
    if isinstance(value, Reference):
        return value.stand_in(integer)
    if isinstance(value, dict):
        return {key: resolved(inner, key == "provider") for key, inner in value.items()}
    if isinstance(value, list):
        return [resolved(inner) for inner in value]
    return value


def main():
    document = yaml.load(FILE.read_text(), Loader)
    assert document["version"] == 1 and document["metadata"]["name"], "version and name"
    known, problems = set(), []
    for entry in document["entries"]:
        name = f"{entry['model']} {entry.get('identifiers', entry.get('attrs'))}"
        extra = set(entry) - {"model", "id", "identifiers", "attrs", "state", "conditions", "permissions"}
        if extra:
            problems.append(f"{name}: unknown keys {extra}")
        # An entry is applied in its turn, so that it may only name earlier ones.
        for reference in references(entry):
            if reference.kind == "KeyOf" and reference.arguments not in known:
                problems.append(f"{name}: !KeyOf {reference.arguments} is not defined before")
        if "id" in entry:
            known.add(entry["id"])
        if not entry["model"].startswith("authentik_blueprints.") and not entry.get("identifiers"):
            problems.append(f"{name}: no identifiers")
        for code in [entry.get("attrs", {}).get("expression")]:
            if code:
                body = "def policy():\n" + "".join(f"    {line}\n" for line in code.splitlines())
                compile(body, name, "exec")
    try:
        models = importlib.import_module("authentik_client.models")
        version = importlib.import_module("importlib.metadata").version("authentik-client")
    except ImportError:
        models, version = None, None
    checked = 0
    for entry in document["entries"] if models else []:
        if entry["model"] not in MODELS:
            continue
        fields = resolved({**entry.get("identifiers", {}), **entry.get("attrs", {})})
        model = getattr(models, MODELS[entry["model"]])
        unknown = set(fields) - set(model.model_fields)
        if unknown:
            problems.append(f"{entry['model']} {entry['identifiers']}: unknown fields {unknown}")
        try:
            model.model_validate(fields)
            checked += 1
        except ValueError as error:
            problems.append(f"{entry['model']} {entry['identifiers']}: {error}")
    for problem in problems:
        print("FAILED ", problem)
    against = f", {checked} of them against authentik-client {version}" if models else ""
    print(f"{len(document['entries'])} entries{against}, {len(problems)} problems")
    sys.exit(bool(problems))


main()
