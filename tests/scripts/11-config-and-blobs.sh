# A script that builds the manifest itself, blob by blob.
printf '{}' > config.json; printf 'layer\n' > layer.bin
CONFIG=$(oras blob push --descriptor --media-type application/vnd.example.config+json "$REGISTRY/raw" config.json)
LAYER=$(oras blob push --descriptor --media-type application/vnd.example.layer "$REGISTRY/raw" layer.bin)
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":%s,"layers":[%s]}' "$CONFIG" "$LAYER" > manifest.json
oras manifest push "$REGISTRY/raw:v1,v2" manifest.json | sed "s|$REGISTRY||" | sort
oras manifest fetch-config "$REGISTRY/raw:v1"; echo
oras manifest fetch "$REGISTRY/raw:v2" --descriptor; echo
oras pull "$REGISTRY/raw:v1" -o none | sed "s|$REGISTRY||"
