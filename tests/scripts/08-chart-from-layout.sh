# A chart kept in a layout in the working tree, published when it changed.
printf 'apiVersion: v2\n' > chart.tgz
oras push --oci-layout charts:app-1.0.0 chart.tgz:application/vnd.cncf.helm.chart.content.v1.tar+gzip --artifact-type application/vnd.cncf.helm.config.v1+json -a org.opencontainers.image.created=2026-01-01T00:00:00Z > /dev/null
for tag in $(oras repo tags --oci-layout charts); do
  if ! oras manifest fetch --descriptor "$REGISTRY/charts:$tag" > /dev/null 2>&1; then
    oras cp --from-oci-layout "charts:$tag" "$REGISTRY/charts:$tag" > /dev/null && echo "published $tag"
  fi
done
for tag in $(oras repo tags --oci-layout charts); do
  oras manifest fetch --descriptor "$REGISTRY/charts:$tag" > /dev/null 2>&1 && echo "unchanged $tag"
done
