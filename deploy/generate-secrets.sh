#!/bin/sh
# Write random secrets to deploy/secrets/, which compose.yaml mounts. Never overwrite one.
set -eu
umask 077

target="$(cd "$(dirname "$0")" && pwd)/secrets"
staging="$target.new"
if [ -e "$target" ]; then
    echo "$target exists: nothing was written" >&2
    exit 1
fi
rm -rf "$staging"
mkdir "$staging"

random() {
    value="$(od -An -v -N32 -tx1 /dev/urandom | tr -d ' \n')"
    [ "${#value}" -eq 64 ] || { echo "no randomness to be had" >&2; exit 1; }
    printf '%s' "$value"
}

# The containers run as other users, so every user may read the files, but only this user may enter
# the directory. A container sees only the files that are mounted into it.
write() {
    printf '%s\n' "$2" >"$staging/$1"
    chmod 444 "$staging/$1"
}

secret_key="$(random)"
jwt_secret_key="$(random)"
postgres_password="$(random)"
database_password="$(random)"
valkey_password="$(random)"

write secret_key "$secret_key"
write jwt_secret_key "$jwt_secret_key"
write postgres_password "$postgres_password"
write app_database_password "$database_password"
write database_url "postgresql+asyncpg://app:$database_password@postgres:5432/app"
write redis_url "redis://app:$valkey_password@valkey:6379/0"
write valkey_acl "user default reset on nopass +ping
user app reset on >$valkey_password ~* &* +@all -@admin -@dangerous"

mv "$staging" "$target"
echo "$target written: keep a copy in a safe place, never in git"
