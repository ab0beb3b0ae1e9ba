# A step that reads the digest of what it pushed from the JSON.
echo '{"name":"app"}' > sbom.json
oras push "$REGISTRY/app:v1" --annotation org.opencontainers.image.created=2026-01-01T00:00:00Z --format json sbom.json:application/json > out.json
python3 - <<'PY'
import json
out = json.load(open("out.json"))
print(out["reference"].split("/", 1)[1], out["size"], out["referenceAsTags"][0].split("/", 1)[1])
PY
oras push "$REGISTRY/app:v2" --annotation org.opencontainers.image.created=2026-01-01T00:00:00Z --format go-template='{{.digest}}' sbom.json:application/json
