# Supply chain: attach an SBOM and a signature, find them again by type, take the newest.
echo img > image.tar
oras push "$REGISTRY/img:v1" -a org.opencontainers.image.created=2026-01-01T00:00:00Z image.tar
SUBJECT=$(oras resolve "$REGISTRY/img:v1")
echo '{"spdx":1}' > sbom.spdx.json
echo sig > image.sig
oras attach "$REGISTRY/img@$SUBJECT" --artifact-type application/spdx+json -a org.opencontainers.image.created=2026-01-01T00:00:00Z sbom.spdx.json:application/spdx+json
oras attach "$REGISTRY/img@$SUBJECT" --artifact-type application/vnd.example.signature -a org.opencontainers.image.created=2026-01-01T00:00:00Z -a keyid=k1 image.sig
SBOM=$(oras discover "$REGISTRY/img:v1" --artifact-type application/spdx+json --format go-template='{{(first .referrers).digest}}')
oras pull "$REGISTRY/img@$SBOM" -o sboms
cat sboms/sbom.spdx.json
oras discover "$REGISTRY/img:v1" -v=false
oras discover --format json "$REGISTRY/img:v1" | grep -c '"digest"'
