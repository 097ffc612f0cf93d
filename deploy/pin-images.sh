#!/usr/bin/env bash
# Prints the images that docker-compose.yml and deploy/Dockerfile take from registries, each pinned by its present digest:
#
#   deploy/pin-images.sh > images.env
#   docker compose --env-file images.env up --build
#
# The files themselves name tags: a digest never gets the security fixes of its image, so somebody must renew it.
set -euo pipefail
cd "$(dirname "$0")/.."

grep -ohE '\$\{LTM_IMAGE_[A-Z_]+:-[^}]+\}' docker-compose.yml | sort -u | while IFS= read -r setting; do
  setting=${setting#'${'}
  setting=${setting%'}'}
  name=${setting%%:-*}
  image=${setting#*:-}
  digest=$(docker buildx imagetools inspect "$image" --format '{{.Manifest.Digest}}' < /dev/null)
  [[ $digest == sha256:* ]] || { echo "the registry does not say the digest of $image" >&2; exit 1; }
  echo "$name=$image@$digest"
done
