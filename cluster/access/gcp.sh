#!/usr/bin/env bash
# What a cluster on GCP needs around it, made once and removed without a trace: a network whose firewall lets in SSH from your
# address alone; a service account for the head and one for the workers, each with what it needs and no more; an SSH key.
#
#   bash cluster/access/gcp.sh make PROJECT REGION BUCKET   print, at the end, what to fill into gcp.yaml
#   bash cluster/access/gcp.sh image                        the newest machine image of the family, by its own name
#   bash cluster/access/gcp.sh wandb PROJECT                store your W&B key (read from the terminal) where the head alone reads it
#   bash cluster/access/gcp.sh remove PROJECT REGION        after `starling cluster down`
#
# BUCKET is where results go (--storage gs://BUCKET/...); it must exist. FROM=203.0.113.7/32 takes another address than the one
# you come from now. Needs gcloud, and an account that is owner of the project.
set -euo pipefail

name=starling
family=ubuntu-accelerator-2404-amd64-with-nvidia
key=$HOME/.ssh/$name.pem

# What Ray's provider does on the head: start, list, label and end machines, and wait for that.
permissions=compute.instances.create,compute.instances.delete,compute.instances.get,compute.instances.list
permissions+=,compute.instances.setLabels,compute.instances.setMetadata,compute.instances.setServiceAccount,compute.instances.setTags
permissions+=,compute.disks.create,compute.subnetworks.use,compute.subnetworks.useExternalIp,compute.zoneOperations.get

usage() { sed -n '2,11s/^# \{0,1\}//p' "$0"; exit 2; }

account() { echo "$1@$project.iam.gserviceaccount.com"; }

make() {
  from=${FROM:-$(curl -fsS https://checkip.amazonaws.com)/32}
  case $from in */0) echo "FROM=$from would let the whole world in" >&2; exit 1;; esac
  [ -f "$key" ] || { mkdir -p "$HOME/.ssh"; (umask 077; ssh-keygen -q -t ed25519 -N '' -C ubuntu -f "$key"); }
  gcloud services enable compute.googleapis.com secretmanager.googleapis.com --project "$project"
  gcloud compute networks describe $name --project "$project" > /dev/null 2>&1 ||
    gcloud compute networks create $name --project "$project" --subnet-mode custom
  gcloud compute networks subnets describe $name --project "$project" --region "$region" > /dev/null 2>&1 ||
    gcloud compute networks subnets create $name --project "$project" --region "$region" --network $name \
      --range 10.10.0.0/16 --enable-private-ip-google-access
  gcloud compute firewall-rules describe $name-inside --project "$project" > /dev/null 2>&1 ||
    gcloud compute firewall-rules create $name-inside --project "$project" --network $name --allow all \
      --source-tags $name --target-tags $name
  if gcloud compute firewall-rules describe $name-ssh --project "$project" > /dev/null 2>&1; then
    gcloud compute firewall-rules update $name-ssh --project "$project" --source-ranges "$from"
  else
    gcloud compute firewall-rules create $name-ssh --project "$project" --network $name --allow tcp:22 \
      --source-ranges "$from" --target-tags $name
  fi
  if gcloud iam roles describe ${name}Head --project "$project" > /dev/null 2>&1; then
    gcloud iam roles update ${name}Head --project "$project" --permissions $permissions > /dev/null
  else
    gcloud iam roles create ${name}Head --project "$project" --title "Starling head" --permissions $permissions > /dev/null
  fi
  for one in $name-head $name-worker; do
    gcloud iam service-accounts describe "$(account "$one")" --project "$project" > /dev/null 2>&1 ||
      gcloud iam service-accounts create "$one" --project "$project"
    gcloud storage buckets add-iam-policy-binding "gs://$bucket" --member "serviceAccount:$(account "$one")" \
      --role roles/storage.objectUser > /dev/null
  done
  gcloud projects add-iam-policy-binding "$project" --member "serviceAccount:$(account $name-head)" \
    --role "projects/$project/roles/${name}Head" --condition None > /dev/null
  # The head may give workers their account, and no other.
  gcloud iam service-accounts add-iam-policy-binding "$(account $name-worker)" --project "$project" \
    --member "serviceAccount:$(account $name-head)" --role roles/iam.serviceAccountUser > /dev/null
  echo "Fill in (sed -i 's/REPLACE-project/$project/' does the first):"
  echo "  project_id: $project"
  echo "  sourceImage: $(find_image)"
  echo "  ssh-keys: ubuntu:$(cat "$key.pub")"
  echo "SSH is open to $from; from elsewhere: FROM=... bash $0 make $project $region $bucket"
}

find_image() {
  gcloud compute images list --project ubuntu-os-accelerator-images --no-standard-images --filter "family~$family" \
    --sort-by ~creationTimestamp --limit 1 --format 'value[separator=""]("projects/ubuntu-os-accelerator-images/global/images/",name)'
}

wandb() {
  printf 'W&B key (not shown): ' >&2
  read -rs value
  echo >&2
  gcloud secrets describe $name-wandb --project "$project" > /dev/null 2>&1 ||
    gcloud secrets create $name-wandb --project "$project" --replication-policy automatic
  printf '%s' "$value" | gcloud secrets versions add $name-wandb --project "$project" --data-file=-
  gcloud secrets add-iam-policy-binding $name-wandb --project "$project" \
    --member "serviceAccount:$(account $name-head)" --role roles/secretmanager.secretAccessor > /dev/null
}

remove() {
  running=$(gcloud compute instances list --project "$project" --filter 'labels.ray-cluster-name:*' --format 'value(name)')
  [ -z "$running" ] || { echo "these are still there: $running; first: starling cluster down cluster/gcp.yaml" >&2; exit 1; }
  gcloud projects remove-iam-policy-binding "$project" --member "serviceAccount:$(account $name-head)" \
    --role "projects/$project/roles/${name}Head" --condition None > /dev/null || true
  for one in $name-head $name-worker; do
    gcloud iam service-accounts delete "$(account "$one")" --project "$project" --quiet || true
  done
  gcloud iam roles delete ${name}Head --project "$project" > /dev/null || true
  gcloud secrets delete $name-wandb --project "$project" --quiet 2> /dev/null || true
  gcloud compute firewall-rules delete $name-ssh $name-inside --project "$project" --quiet
  gcloud compute networks subnets delete $name --project "$project" --region "$region" --quiet
  gcloud compute networks delete $name --project "$project" --quiet
  echo "removed: network, firewall, service accounts, role and W&B key. Yours to keep or delete: $key, the bucket."
}

case ${1:-} in
  make) [ $# -eq 4 ] || usage; project=$2 region=$3 bucket=$4; make ;;
  image) find_image ;;
  wandb) [ $# -eq 2 ] || usage; project=$2; wandb ;;
  remove) [ $# -eq 3 ] || usage; project=$2 region=$3; remove ;;
  *) usage ;;
esac
