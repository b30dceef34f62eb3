"""The list of dependencies in the release archives is SPDX 2.3 by the words of SPDX's
own tools."""
import importlib.metadata
import subprocess

from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from common import FLOPS, REPO, WORK, ensure

file = WORK / "flops.spdx.json"
file.write_text(subprocess.run([REPO / "scripts/spdx.sh", FLOPS, "flops-v0.0.1-linux-amd64"], check=True, capture_output=True, text=True).stdout)
doc = parse_file(str(file))
wrong = [m.validation_message for m in validate_full_spdx_document(doc)]
ensure(not wrong, f"{len(wrong)} mistakes, the first: {wrong[:3]}")
ensure(len(doc.packages) > 10 and len(doc.relationships) == len(doc.packages), f"{len(doc.packages)} packages, {len(doc.relationships)} relationships")
print(f"spdx-tools {importlib.metadata.version('spdx-tools')}: {len(doc.packages)} packages, no mistake")
