# Tools for several platforms under one tag.
for arch in amd64 arm64; do
  echo "tool for $arch" > tool
  oras push "$REGISTRY/multi:$arch" --artifact-platform "linux/$arch" -a org.opencontainers.image.created=2026-01-01T00:00:00Z tool > /dev/null
done
oras manifest index create "$REGISTRY/multi:v1" amd64 arm64 | tail -1
oras pull "$REGISTRY/multi:v1" --platform linux/arm64 -o bin > /dev/null && cat bin/tool
oras resolve "$REGISTRY/multi:v1" --platform linux/amd64
oras manifest fetch "$REGISTRY/multi:v1" --pretty | grep architecture
