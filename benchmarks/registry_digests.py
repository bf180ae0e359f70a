"""Measure the tables of a local folder and write their sizes and digests into the registry.

Run it after a set was added to ``src/expose/evaluation/data/registry.json``:

    python benchmarks/registry_digests.py FOLDER

Sets that the folder lacks keep what the registry says of them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from expose.evaluation import layouts
from expose.evaluation.registry import digest

REGISTRY = Path(__file__).parents[1] / "src" / "expose" / "evaluation" / "data" / "registry.json"


def main(folder: Path) -> None:
    entries = json.loads(REGISTRY.read_text(encoding="utf-8"))
    for entry in entries:
        path = layouts.find(entry.get("file", entry["name"]), folder)
        if path is None and entry["name"] != "mulcross":
            print(f"{entry['name']}: not there")
            continue
        X, y = layouts.read(entry["name"], path)
        found = {"rows": len(X), "columns": X.shape[1], "anomalies": int(y.sum()), "sha256": digest(X, y)}
        print(f"{entry['name']}: {'as before' if found.items() <= entry.items() else found}")
        entry.update(found)
    REGISTRY.write_text(json.dumps(entries, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
