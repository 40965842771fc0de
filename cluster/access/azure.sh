#!/usr/bin/env bash
# What a cluster on Azure needs around it, made once and removed without a trace: a resource group with a network whose security
# group lets in SSH from your address alone; a managed identity with a role of its own; an SSH key.
#
#   bash cluster/access/azure.sh make SUBSCRIPTION LOCATION ACCOUNT   print, at the end, what to fill into azure.yaml
#   bash cluster/access/azure.sh image LOCATION                       the newest version of the machine image
#   bash cluster/access/azure.sh remove SUBSCRIPTION                  after `starling cluster down`: the group and all in it
#
# ACCOUNT is the storage account where results go; it must exist, in another resource group. FROM=203.0.113.7/32 takes another
# address than the one you come from now. Needs the Azure CLI, and a user that may assign roles.
#
# Ray gives one identity to the head and the workers, so that code of a trial may start and end machines of this group, and of no
# other.
set -euo pipefail

name=starling
key=$HOME/.ssh/$name.pem

usage() { sed -n '2,13s/^# \{0,1\}//p' "$0"; exit 2; }

role() { cat <<JSON
{"Name": "$name-head", "Description": "Machines of one resource group, for Ray's autoscaler", "AssignableScopes": ["$group"],
 "Actions": [
    "Microsoft.Compute/virtualMachines/*", "Microsoft.Compute/disks/*",
    "Microsoft.Network/networkInterfaces/*", "Microsoft.Network/publicIPAddresses/*",
    "Microsoft.Network/virtualNetworks/read", "Microsoft.Network/virtualNetworks/subnets/read",
    "Microsoft.Network/virtualNetworks/subnets/join/action",
    "Microsoft.Network/networkSecurityGroups/read", "Microsoft.Network/networkSecurityGroups/join/action",
    "Microsoft.ManagedIdentity/userAssignedIdentities/read", "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action",
    "Microsoft.Resources/deployments/*", "Microsoft.Resources/subscriptions/resourceGroups/read"]}
JSON
}

make() {
  from=${FROM:-$(curl -fsS https://checkip.amazonaws.com)/32}
  case $from in */0) echo "FROM=$from would let the whole world in" >&2; exit 1;; esac
  # Azure takes RSA keys for certain; ed25519 not in every region.
  [ -f "$key" ] || { mkdir -p "$HOME/.ssh"; (umask 077; ssh-keygen -q -t rsa -b 4096 -N '' -C $name -f "$key"); }
  az account set --subscription "$subscription"
  group=$(az group create --name $name --location "$location" --tags project=$name --query id --output tsv)
  az network nsg create --resource-group $name --name $name --output none
  az network nsg rule create --resource-group $name --nsg-name $name --name ssh --priority 1000 --direction Inbound \
    --access Allow --protocol Tcp --source-address-prefixes "$from" --destination-port-ranges 22 --output none
  az network vnet create --resource-group $name --name $name --address-prefixes 10.20.0.0/16 --subnet-name nodes \
    --subnet-prefixes 10.20.0.0/16 --network-security-group $name --output none
  az identity create --resource-group $name --name $name --output none
  principal=$(az identity show --resource-group $name --name $name --query principalId --output tsv)
  file=$(mktemp)
  role > "$file"
  az role definition create --role-definition "$file" --output none 2> /dev/null ||
    az role definition update --role-definition "$file" --output none
  rm -f "$file"
  az role assignment create --assignee-object-id "$principal" --assignee-principal-type ServicePrincipal \
    --role $name-head --scope "$group" --output none
  az role assignment create --assignee-object-id "$principal" --assignee-principal-type ServicePrincipal \
    --role "Storage Blob Data Contributor" --scope "$(az storage account show --name "$account" --query id --output tsv)" --output none
  echo "Fill in (sed -i 's/REPLACE-subscription/$subscription/' does the first):"
  echo "  subscription_id: $subscription"
  echo "  imageVersion: $(find_image)"
  echo "SSH is open to $from; from elsewhere: FROM=... bash $0 make $subscription $location $account"
}

find_image() {
  az vm image list --location "$location" --publisher microsoft-dsvm --offer ubuntu-hpc --sku 2404 --all \
    --query "sort_by([], &version)[-1].version" --output tsv
}

remove() {
  az account set --subscription "$subscription"
  running=$(az vm list --resource-group $name --query '[].name' --output tsv)
  [ -z "$running" ] || { echo "these are still there: $running; first: starling cluster down cluster/azure.yaml" >&2; exit 1; }
  principal=$(az identity show --resource-group $name --name $name --query principalId --output tsv 2> /dev/null || true)
  if [ -n "$principal" ]; then
    az role assignment list --all --query "[?principalId=='$principal'].id" --output tsv | xargs -r az role assignment delete --ids
  fi
  az group delete --name $name --yes
  az role definition delete --name $name-head || true
  echo "removed: the group $name with all in it, and its role. Yours to keep or delete: $key, the storage account."
}

case ${1:-} in
  make) [ $# -eq 4 ] || usage; subscription=$2 location=$3 account=$4; make ;;
  image) [ $# -eq 2 ] || usage; location=$2; find_image ;;
  remove) [ $# -eq 2 ] || usage; subscription=$2; remove ;;
  *) usage ;;
esac
