# A task of a pipeline: pull sources that an earlier task stored as a trusted artifact, into a workspace.
set -o pipefail
mkdir -p source && printf 'int main(){}\n' > source/main.c && tar -C source -czf source.tar.gz .
oras push "$REGISTRY/ws/source:rev1" -a org.opencontainers.image.created=2026-01-01T00:00:00Z source.tar.gz --no-tty > /dev/null
DIGEST=$(oras resolve "$REGISTRY/ws/source:rev1")
mkdir -p workspace
oras blob fetch --output - "$REGISTRY/ws/source@$(oras manifest fetch "$REGISTRY/ws/source@$DIGEST" | python3 -c 'import json,sys; print(json.load(sys.stdin)["layers"][0]["digest"])')" | tar -C workspace -xzf -
cat workspace/main.c
oras pull --no-tty "$REGISTRY/ws/source@$DIGEST" -o again | tail -1 | cut -d: -f1
