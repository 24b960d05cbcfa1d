-- Runs once, on an empty volume. The application owns its database and is no superuser.
\set password `cat /run/secrets/app_database_password`
CREATE ROLE app LOGIN PASSWORD :'password';
CREATE DATABASE app OWNER app;
REVOKE ALL ON DATABASE app FROM PUBLIC;
