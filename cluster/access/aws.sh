#!/usr/bin/env bash
# What a cluster on AWS needs around it, made once and removed without a trace: a role for the head and one for the workers, each
# with what it needs and no more; a security group that lets in SSH from your address alone; an SSH key.
#
#   bash cluster/access/aws.sh make REGION BUCKET     print, at the end, what to fill into aws.yaml
#   bash cluster/access/aws.sh image REGION           the machine image, by name
#   bash cluster/access/aws.sh wandb REGION           store your W&B key (read from the terminal) where the head alone reads it
#   bash cluster/access/aws.sh remove REGION          after `starling cluster down`
#
# BUCKET is where results go (--storage s3://BUCKET/...); it must exist. VPC=vpc-... takes another network than the default one,
# FROM=203.0.113.7/32 another address than the one you come from now. Needs the AWS CLI, and credentials that may make roles.
set -euo pipefail

name=starling
image='Deep Learning Base AMI with Single CUDA (Ubuntu 24.04) 20260717'
key=$HOME/.ssh/$name.pem

usage() { sed -n '2,12s/^# \{0,1\}//p' "$0"; exit 2; }

trust='{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]}'

results_policy() { cat <<JSON
    {"Sid": "Results", "Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"],
     "Resource": "arn:aws:s3:::$bucket/*"},
    {"Sid": "ResultsListed", "Effect": "Allow", "Action": ["s3:ListBucket", "s3:GetBucketLocation"], "Resource": "arn:aws:s3:::$bucket"}
JSON
}

head_policy() { cat <<JSON
{"Version": "2012-10-17", "Statement": [
    {"Sid": "Look", "Effect": "Allow", "Action": ["ec2:DescribeInstances", "ec2:DescribeInstanceTypes"], "Resource": "*"},
    {"Sid": "StartOnlyTaggedWithIMDSv2", "Effect": "Allow", "Action": "ec2:RunInstances",
     "Resource": "arn:aws:ec2:$region:$account:instance/*",
     "Condition": {"StringEquals": {"aws:RequestTag/project": "$name", "ec2:MetadataHttpTokens": "required"}}},
    {"Sid": "StartOnlyEncryptedDisks", "Effect": "Allow", "Action": "ec2:RunInstances",
     "Resource": "arn:aws:ec2:$region:$account:volume/*", "Condition": {"Bool": {"ec2:Encrypted": "true"}}},
    {"Sid": "StartOnlyInItsGroup", "Effect": "Allow", "Action": "ec2:RunInstances",
     "Resource": ["arn:aws:ec2:$region:$account:security-group/$group", "arn:aws:ec2:$region:$account:key-pair/$name",
                  "arn:aws:ec2:$region:$account:subnet/*", "arn:aws:ec2:$region:$account:network-interface/*",
                  "arn:aws:ec2:$region:$account:spot-instances-request/*", "arn:aws:ec2:$region::image/*"]},
    {"Sid": "TagWhatItStarts", "Effect": "Allow", "Action": "ec2:CreateTags", "Resource": "arn:aws:ec2:$region:$account:*/*",
     "Condition": {"StringEquals": {"ec2:CreateAction": "RunInstances"}}},
    {"Sid": "OnlyItsOwn", "Effect": "Allow", "Action": ["ec2:TerminateInstances", "ec2:CreateTags"],
     "Resource": "arn:aws:ec2:$region:$account:instance/*", "Condition": {"StringEquals": {"aws:ResourceTag/project": "$name"}}},
    {"Sid": "GiveWorkersTheirRole", "Effect": "Allow", "Action": "iam:PassRole", "Resource": "arn:aws:iam::$account:role/$name-worker",
     "Condition": {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}},
    {"Sid": "WandbKey", "Effect": "Allow", "Action": "ssm:GetParameter",
     "Resource": "arn:aws:ssm:$region:$account:parameter/$name/wandb"},
    {"Sid": "SessionManager", "Effect": "Allow", "Resource": "*",
     "Action": ["ssm:UpdateInstanceInformation", "ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel",
                "ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel"]},
$(results_policy)
]}
JSON
}

worker_policy() { printf '{"Version": "2012-10-17", "Statement": [\n%s\n]}' "$(results_policy)"; }

role() {  # role NAME POLICY: the role with its one policy, and the instance profile of the same name
  if ! aws iam get-role --role-name "$1" > /dev/null 2>&1; then
    aws iam create-role --role-name "$1" --assume-role-policy-document "$trust" --tags Key=project,Value=$name > /dev/null
    aws iam create-instance-profile --instance-profile-name "$1" > /dev/null
    aws iam add-role-to-instance-profile --instance-profile-name "$1" --role-name "$1"
  fi
  aws iam put-role-policy --role-name "$1" --policy-name $name --policy-document "$2"
}

group_id() {
  aws ec2 describe-security-groups --filters "Name=group-name,Values=$name" "Name=vpc-id,Values=$vpc" \
    --query 'SecurityGroups[].GroupId' --output text
}

network() {
  vpc=${VPC:-$(aws ec2 describe-vpcs --filters Name=is-default,Values=true --query 'Vpcs[].VpcId' --output text)}
  [ -n "$vpc" ] || { echo "region $region has no default network; give one with VPC=vpc-..." >&2; exit 1; }
}

make() {
  from=${FROM:-$(curl -fsS https://checkip.amazonaws.com)/32}
  case $from in */0) echo "FROM=$from would let the whole world in" >&2; exit 1;; esac
  account=$(aws sts get-caller-identity --query Account --output text)
  network
  if [ ! -f "$key" ]; then
    mkdir -p "$HOME/.ssh"
    (umask 077; ssh-keygen -q -t ed25519 -N '' -C $name -f "$key")
  fi
  aws ec2 describe-key-pairs --key-names $name > /dev/null 2>&1 ||
    aws ec2 import-key-pair --key-name $name --public-key-material "fileb://$key.pub" > /dev/null
  group=$(group_id)
  if [ -z "$group" ]; then
    group=$(aws ec2 create-security-group --group-name $name --description "Starling: SSH from one address" \
      --vpc-id "$vpc" --tag-specifications "ResourceType=security-group,Tags=[{Key=project,Value=$name}]" --query GroupId --output text)
    # Nodes reach one another at every port; both directions by name, which EFA insists on.
    aws ec2 authorize-security-group-ingress --group-id "$group" --protocol -1 --source-group "$group" > /dev/null
    aws ec2 authorize-security-group-egress --group-id "$group" \
      --ip-permissions "IpProtocol=-1,UserIdGroupPairs=[{GroupId=$group}]" > /dev/null
  fi
  aws ec2 describe-security-groups --group-ids "$group" --output json | grep -qF "\"$from\"" ||
    aws ec2 authorize-security-group-ingress --group-id "$group" --protocol tcp --port 22 --cidr "$from" > /dev/null
  role $name-worker "$(worker_policy)"
  role $name-head "$(head_policy)"
  aws iam create-service-linked-role --aws-service-name spot.amazonaws.com > /dev/null 2>&1 || true   # once an account
  echo "Fill in:"
  echo "  region: $region"
  echo "  ImageId: $(find_image)"
  echo "  SubnetIds: [$(aws ec2 describe-subnets --filters "Name=vpc-id,Values=$vpc" \
    --query 'Subnets[].SubnetId' --output text | sed 's/[[:space:]]\{1,\}/, /g')]"
  echo "  SecurityGroupIds: [$group]"
  echo "SSH is open to $from; from elsewhere: FROM=... bash $0 make $region $bucket"
}

find_image() {
  found=$(aws ec2 describe-images --owners amazon --filters "Name=name,Values=$image" \
    --query 'Images[].ImageId' --output text)
  echo "${found:-none of the name "$image" in $region: take one of a later date}"
}

wandb() {
  printf 'W&B key (not shown): ' >&2
  read -rs value
  echo >&2
  # By a file: what is on a command line can be seen by others on this machine.
  (umask 077; file=$(mktemp); trap 'rm -f "$file"' EXIT; printf '%s' "$value" > "$file"
    aws ssm put-parameter --name /$name/wandb --type SecureString --overwrite --value "file://$file" > /dev/null)
  echo "stored as /$name/wandb; the head puts it into ~/.netrc at its next \`starling cluster up\`"
}

remove() {
  network
  running=$(aws ec2 describe-instances --filters "Name=tag:project,Values=$name" \
    'Name=instance-state-name,Values=pending,running,stopping,stopped' --query 'Reservations[].Instances[].InstanceId' --output text)
  [ -z "$running" ] || { echo "these are still there: $running; first: starling cluster down cluster/aws.yaml" >&2; exit 1; }
  for one in $name-head $name-worker; do
    aws iam get-role --role-name "$one" > /dev/null 2>&1 || continue
    aws iam remove-role-from-instance-profile --instance-profile-name "$one" --role-name "$one"
    aws iam delete-instance-profile --instance-profile-name "$one"
    aws iam delete-role-policy --role-name "$one" --policy-name $name
    aws iam delete-role --role-name "$one"
  done
  group=$(group_id)
  [ -z "$group" ] || aws ec2 delete-security-group --group-id "$group" > /dev/null
  aws ec2 delete-key-pair --key-name $name > /dev/null
  aws ssm delete-parameter --name /$name/wandb > /dev/null 2>&1 || true
  echo "removed: roles, security group, key pair and W&B key of $region. Yours to keep or delete: $key, the bucket."
}

[ $# -ge 2 ] || usage
region=$2
export AWS_REGION=$region AWS_DEFAULT_REGION=$region
case $1 in
  make) [ $# -eq 3 ] || usage; bucket=$3; make ;;
  image) find_image ;;
  wandb) wandb ;;
  remove) remove ;;
  *) usage ;;
esac
