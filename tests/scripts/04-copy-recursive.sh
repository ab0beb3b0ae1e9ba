# Promotion: copy an image with everything that refers to it to another registry.
echo img > image.tar
oras push "$REGISTRY/dev/img:v1" -a org.opencontainers.image.created=2026-01-01T00:00:00Z image.tar
echo sig > image.sig
oras attach "$REGISTRY/dev/img:v1" --artifact-type example/sig -a org.opencontainers.image.created=2026-01-01T00:00:00Z image.sig
oras cp -r "$REGISTRY/dev/img:v1" "$SECOND/prod/img:v1,stable" --concurrency 1 | sort
test "$(oras resolve "$REGISTRY/dev/img:v1")" = "$(oras resolve "$SECOND/prod/img:stable")" && echo same
oras discover "$SECOND/prod/img:stable" -v=false
