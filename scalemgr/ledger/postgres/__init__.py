"""The ledger on a PostgreSQL server, which any number of gateways share. Nothing else imports psycopg."""
