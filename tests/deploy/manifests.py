"""Checks Kubernetes manifests, and prints them as JSON:

    manifests.py VERSION… <manifests.yaml

Each document must be valid in each version of Kubernetes, or match the schema of KEDA or Prometheus's operator. An
unknown field or kind is an error.
"""

import json
import sys
from pathlib import Path

import jsonschema
import kubernetes_validate
import yaml

# kubernetes-validate has no schemas of custom resources.
CUSTOM = {
    schemas["apiVersion"]: schemas["kinds"]
    for name in ("keda.json", "prometheus-operator.json")
    for schemas in [json.loads(Path(__file__).with_name(name).read_text())]
}


def problems(document, version):
    name = f"{document.get('kind')} {document.get('metadata', {}).get('name')}"
    try:
        if kinds := CUSTOM.get(document.get("apiVersion")):
            jsonschema.validate(document, kinds.get(document["kind"], False))
        else:
            kubernetes_validate.validate(document, version, strict=True)
    except (jsonschema.ValidationError, kubernetes_validate.ValidationError) as error:
        path = ".".join(map(str, error.path))
        yield f"{name}, Kubernetes {version}: {path}: {error.message}"
    except kubernetes_validate.SchemaNotFoundError as error:
        yield f"{name}: {error.message}"


def main():
    documents = [document for document in yaml.safe_load_all(sys.stdin) if document]
    found = [text for version in sys.argv[1:] for it in documents for text in problems(it, version)]
    print("\n".join(found), file=sys.stderr)
    print(json.dumps(documents))
    sys.exit(1 if found or not documents else 0)


if __name__ == "__main__":
    main()
