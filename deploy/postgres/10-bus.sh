#!/bin/sh
# Run once, by the Postgres image, when its data folder is new: a role without special rights and a database that it owns.
# The bus needs no more.
set -eu
password=$(cat /run/secrets/database_password)
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --set password="$password" --username "$POSTGRES_USER" --dbname postgres <<'SQL'
CREATE ROLE bus LOGIN PASSWORD :'password';
CREATE DATABASE bus OWNER bus;
REVOKE ALL ON DATABASE bus FROM PUBLIC;
SQL
