# A Makefile that pushes a bundle and tags it.
printf 'policy\n' > policy.rego
cat > Makefile <<'MAKE'
VERSION := 1.4.0
MINOR := $(shell echo $(VERSION) | cut -d. -f1,2)
push:
	@oras push $(REGISTRY)/policies:$(VERSION) --config /dev/null:application/vnd.cncf.openpolicyagent.config.v1+json --disable-path-validation policy.rego:application/vnd.cncf.openpolicyagent.layer.v1.tar+gzip -a org.opencontainers.image.created=2026-01-01T00:00:00Z > /dev/null
	@oras tag $(REGISTRY)/policies:$(VERSION) $(MINOR) latest | sort
	@oras repo tags $(REGISTRY)/policies
MAKE
make -s push REGISTRY="$REGISTRY" 2>&1
