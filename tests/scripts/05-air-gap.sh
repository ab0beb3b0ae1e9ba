# Air gap: to a layout on disk, as a tar, into a registry that cannot see the first.
echo one > one.txt; echo two > two.txt
oras push "$REGISTRY/gap:v1" -a org.opencontainers.image.created=2026-01-01T00:00:00Z one.txt
oras push "$REGISTRY/gap:v2" -a org.opencontainers.image.created=2026-01-01T00:00:00Z two.txt
oras attach "$REGISTRY/gap:v1" --artifact-type example/note -a org.opencontainers.image.created=2026-01-01T00:00:00Z two.txt
oras backup --output gap.tar --include-referrers "$REGISTRY/gap:v1,v2" | grep -v -e ulling -e '^Exists' | sed -e 's/([^)]*)//' -e 's/ in .*//' | sed '/^Pulled  /d'
oras restore --input gap.tar "$SECOND/gap" --dry-run | sed -e 's/([^)]*)//'
oras restore --input gap.tar "$SECOND/gap" | grep -v -e Pushing -e '^Exists' | sed -e 's/([^)]*)//' -e 's/ in .*//' | sed '/^Pushed  /d'
oras repo tags "$SECOND/gap" | grep -v sha256-
oras pull "$SECOND/gap:v2" -o out && cat out/two.txt
