# Scripts that look at exit statuses and messages.
oras pull "$REGISTRY/none:v1" 2> err.txt && echo unexpected
sed "s|$REGISTRY|REGISTRY|" err.txt
oras resolve "$REGISTRY/none:v1" > /dev/null 2>&1 || echo "absent, will build"
oras push "$REGISTRY/x:v1" missing.txt 2>&1 | sed "s|$PWD||" || true
if oras manifest fetch "$REGISTRY/none:v1" 2>&1 | grep -q 'not found'; then echo "first release"; fi
oras version | head -1 | cut -d: -f1
