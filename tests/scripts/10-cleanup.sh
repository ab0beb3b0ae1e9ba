# Nightly clean-up: delete what is tagged as a nightly build, keep the rest.
for day in 1 2 3; do
  echo "$day" > build.txt
  oras push "$REGISTRY/builds:nightly-$day" -a org.opencontainers.image.created=2026-01-01T00:00:00Z build.txt > /dev/null
done
echo release > build.txt
oras push "$REGISTRY/builds:v1" -a org.opencontainers.image.created=2026-01-01T00:00:00Z build.txt > /dev/null
oras repo tags "$REGISTRY/builds" | grep '^nightly-' | while read -r tag; do
  oras manifest delete --force "$REGISTRY/builds:$tag" | sed "s|$REGISTRY||"
done
oras repo tags "$REGISTRY/builds"
oras manifest delete --force "$REGISTRY/builds:nightly-1" | sed "s|$REGISTRY||"
