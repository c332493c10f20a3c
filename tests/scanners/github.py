"""Scans a folder with a custom pattern, as GitHub's secret scanning would: with Hyperscan.

usage: github.py FOLDER PATTERN.json

Prints a JSON list of [file, secret].
"""

import json
import sys
from pathlib import Path

import hyperscan


def compiled(expression: str) -> hyperscan.Database:
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    database.compile(expressions=[expression.encode()], flags=[hyperscan.HS_FLAG_SOM_LEFTMOST])
    return database


def matches(database: hyperscan.Database, data: bytes) -> list[bytes]:
    found = []
    database.scan(data, match_event_handler=lambda _id, start, end, _flags, _context: found.append(data[start:end]))
    return found


rule = json.loads(Path(sys.argv[2]).read_text())
whole = compiled(f"(?:{rule['start']})(?:{rule['pattern']})(?:{rule['end']})")
secret = compiled(rule["pattern"])
excluded = [compiled(expression) for expression in rule["additional_not_match"]]

findings = []
for path in sorted(Path(sys.argv[1]).iterdir()):
    for match in matches(whole, path.read_bytes()):
        (key,) = matches(secret, match)
        if not any(matches(database, key) for database in excluded):
            findings.append([path.name, key.decode()])
json.dump(findings, sys.stdout)
