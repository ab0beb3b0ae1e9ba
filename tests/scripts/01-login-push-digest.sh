# A job that logs in with a secret on standard input, pushes what it built, and hands the digest on.
printf '%s' "$REGISTRY_PASSWORD" | oras login "$SECURE" --username "$REGISTRY_USER" --password-stdin
mkdir -p dist && printf 'binary\n' > dist/tool && printf 'docs\n' > dist/README.md
cat > annotations.json <<JSON
{"\$manifest": {"org.opencontainers.image.created": "2026-01-01T00:00:00Z", "org.opencontainers.image.source": "https://example.com/tool"},
 "dist/tool": {"platform": "linux/amd64"}}
JSON
oras push "$SECURE/tool:v1.2.3,latest" --artifact-type application/vnd.example.tool.v1 --annotation-file annotations.json \
  dist/tool:application/octet-stream dist/README.md:text/markdown > push.log
DIGEST=$(oras resolve "$SECURE/tool:v1.2.3")
echo "digest=$DIGEST"
grep -c '^Pushed' push.log
tail -1 push.log
oras logout "$SECURE"
oras resolve "$SECURE/tool:v1.2.3" 2>&1 | head -1 || true
