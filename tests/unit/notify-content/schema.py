#!/usr/bin/python3
"""Every sample document, one a line on the program's output, against the shipped schema."""

import json
import subprocess
import sys

try:
    import jsonschema
except ImportError:
    print("python3-jsonschema is not installed")
    sys.exit(77)

with open(sys.argv[1]) as file:
    schema = json.load(file)
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
lines = subprocess.run([sys.argv[2]], check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
faults = 0
types = set()
for line in lines:
    document = json.loads(line)
    for event in document if isinstance(document, list) else [document]:
        types.add(event["type"])
    for error in validator.iter_errors(document):
        faults += 1
        print(f"{error.json_path}: {error.message}\n  in {line[:200]}")
        for cause in error.context or []:
            print(f"    {cause.json_path}: {cause.message}"[:300])
expected = set(schema["$defs"]["type"]["enum"])
if types != expected:
    faults += 1
    print(f"kinds of events: not seen {expected - types}, unknown {types - expected}")
broken = json.loads(lines[0])
broken["data"]["name"] = "a\nb"
if validator.is_valid(broken):
    faults += 1
    print("a line break passes the schema")
print(f"{len(lines)} documents, {faults} faults")
sys.exit(bool(faults))
